"""Backbone and head.

    h      = backbone(latent, previous, action, past)      once per frame
    levels = head(h, noisy, tau, step)                     once per denoising step

The head does not predict a latent but a score for each of the L levels of each of the C channels:
an uncertain small object then costs cross-entropy instead of fading into a blur, and the expected
value under the scores is the x-prediction that shortcut forcing needs. Training weights cells that change
(loss.py), so the scores lean towards change: they order levels well but are not calibrated probabilities.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from worldling.dynamics.keypoints import GROUPS, HINT_SIZE, MOST_GROUPS, MOST_POINTS, SEEN_PX, Keypoints
from worldling.dynamics.warp import Rendered, TokenizerLike, Warp, render
from worldling.errors import ConfigError
from worldling.nn.attention import Norm
from worldling.nn.blocks import SpaceLayer, TimeLayer
from worldling.nn.lattice import level_values
from worldling.nn.sparse import parse_pattern

#: How sharply centred scores fall off at first: as those of eight levels do, however many there are.
CENTERED_FALL = 3.5
#: Widest MLPs, in widths.
MOST_HIDDEN = 16


@dataclass(frozen=True)
class DynamicsConfig:
    """The shape of backbone and head.

    grid, channels, levels: as the tokenizer's; action_size A; width D; backbone: a letter per layer, S for space and T
    for time; head_layers: space layers per denoising pass; window: past frames remembered; sinks: first frames never
    forgotten; passes K: denoising passes per frame, 1 for a deterministic world; centered_scores: the head predicts a
    centre and a width for the scores of each channel, else they fall off from the level the channel has; warp: a token
    has warp x warp parts that the head may fetch from elsewhere in the last frame (warp.py), 0 for none; keypoints K:
    points that are predicted before the frame (keypoints.py), 0 for none; keypoint_groups: of those that move as one,
    at most, 0 for 4; sparse: the pattern of attention over space, such as "window:4+global:8" or "linear"
    (nn/sparse.py), "" for dense; hidden: channels inside the MLPs, 0 for 4 D.
    """

    action_size: int = 1
    grid: int = 8
    channels: int = 32
    levels: int = 4
    width: int = 128
    head_dim: int = 32
    backbone: str = "SSTSST"
    head_layers: int = 1
    window: int = 16
    sinks: int = 2
    passes: int = 1
    centered_scores: bool = False
    warp: int = 0
    keypoints: int = field(default=0, metadata={"if_set": True})
    keypoint_groups: int = field(default=0, metadata={"if_set": True})
    sparse: str = field(default="", metadata={"if_set": True})
    hidden: int = field(default=0, metadata={"if_set": True})

    def __post_init__(self) -> None:
        if not self.backbone or set(self.backbone) - {"S", "T"} or "T" not in self.backbone:
            raise ConfigError(
                f'`backbone` must be letters S and T with at least one T, got {self.backbone!r}. Use "SSTSST".'
            )
        if self.passes not in (1, 2, 4):
            raise ConfigError(f"`passes` must be 1, 2 or 4, got {self.passes}. Use 1 for a deterministic world.")
        if self.warp < 0 or (self.warp and self.channels % self.warp**2):
            raise ConfigError(f"`warp` must be 0 or the tokenizer's merge, got {self.warp}. Use 0 for a head without.")
        if not 0 <= self.keypoints <= MOST_POINTS or (self.keypoints and SEEN_PX % self.grid):
            raise ConfigError(
                f"`keypoints` must be 0 to {MOST_POINTS}, on a grid of 1, 2, 4, 8, 16 or 32, got {self.keypoints} on a "
                f"grid of {self.grid}. Use 0 for a world without."
            )
        if not 0 <= self.keypoint_groups <= MOST_GROUPS:
            raise ConfigError(
                f"`keypoint_groups` must be 0 to {MOST_GROUPS}, got {self.keypoint_groups}. Use some more than there "
                "are things that move."
            )
        if not 0 <= self.hidden <= MOST_HIDDEN * self.width:
            raise ConfigError(
                f"`hidden` must be 0 to {MOST_HIDDEN} times the width, got {self.hidden} for a width of {self.width}. "
                "Use 0 for 4 times."
            )
        parse_pattern(self.sparse, self.grid)

    @property
    def tokens(self) -> int:
        """N, tokens per frame."""
        return self.grid**2

    @property
    def slots(self) -> int:
        """R, frames held in memory."""
        return self.window + self.sinks

    def space_layer(self, number: int) -> SpaceLayer:
        """Return space layer `number`, from 0, those of the backbone before those of the head."""
        pattern = parse_pattern(self.sparse, self.grid)
        if pattern is not None and pattern.is_full(number):
            pattern = None
        return SpaceLayer(self.width, self.width // self.head_dim, self.grid, pattern, self.hidden)

    @property
    def time_layers(self) -> int:
        """Number of layers that keep a memory."""
        return self.backbone.count("T")


class Embed(nn.Module):
    """Turn vectors in about [-1, 1] into D, through sines of four octaves so that small differences count."""

    octaves: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("octaves", torch.pi * 2.0 ** torch.arange(-1, 3), persistent=False)
        self.rise, self.fall = nn.Linear(9 * size, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        angle = (x[..., None] * self.octaves).flatten(-2)
        return self.fall(F.gelu(self.rise(torch.cat([x, angle.sin(), angle.cos()], -1)), approximate="tanh"))


class Backbone(nn.Module):
    """Read committed latents, the previous ones and actions; look back in time; return features h."""

    def __init__(self, config: DynamicsConfig) -> None:
        super().__init__()
        c, d, heads = config, config.width, config.width // config.head_dim
        self.config = config
        self.latent_in = nn.Linear(2 * c.channels, d)
        self.place = nn.Parameter(0.02 * torch.randn(c.tokens, d))
        self.action_in = Embed(c.action_size, d)
        self.layers = nn.ModuleList(
            c.space_layer(c.backbone[:place].count("S")) if kind == "S" else TimeLayer(d, heads, c.window, c.hidden)
            for place, kind in enumerate(c.backbone)
        )

    def enter(self, latent: Tensor, previous: Tensor, action: Tensor, cells: Tensor | None = None) -> Tensor:
        """Embed latents, their change and actions, to `[..., N, D]`; cells `[B, M]` as in `forward`."""
        joined = torch.cat([latent, latent - previous], -1)
        place = self.place if cells is None else self.place[cells][:, None]
        return self.latent_in(joined) + place + self.action_in(action)[..., None, :]

    def forward(
        self,
        latent: Float[Tensor, "B T N C"],
        previous: Float[Tensor, "B T N C"],
        action: Float[Tensor, "B T A"],
        age: Int[Tensor, "B T T"],
        cells: Int[Tensor, "B N"] | None = None,
    ) -> Float[Tensor, "B T N D"]:
        """Run a whole clip: latents `[B, T, N, C]`, actions `[B, T, A]`, age `[B, T, T]`; returns h `[B, T, N, D]`.

        cells int64 `[B, M]`: the only cells given (N = M), for training on those where something happens.
        """
        return self.layer_by_layer(self.enter(latent, previous, action, cells), age, cells)

    def layer_by_layer(self, x: Tensor, age: Tensor, cells: Tensor | None = None) -> Tensor:
        """Run the layers over a clip `[B, T, N, D]`; age `[B, T, T]`; cells as in `forward`."""
        for layer in self.layers:
            if isinstance(layer, TimeLayer):
                x = layer(x, age)
            else:
                x = layer(x.flatten(0, 1), cells).unflatten(0, x.shape[:2])
        return x

    def step(
        self,
        latent: Float[Tensor, "B N C"],
        previous: Float[Tensor, "B N C"],
        action: Float[Tensor, "B A"],
        memory: list[Tensor],
        age: Int[Tensor, "B R"],
        cells: Int[Tensor, "B N"] | None = None,
    ) -> tuple[Float[Tensor, "B N D"], list[Tensor]]:
        """Run one frame `[B, N, C]` against memory; returns h `[B, N, D]` and what to remember.

        memory: key, value, key, value ... of each T layer, each `[B, R, N, D]`; age `[B, R]` of each slot; cells
        int64 `[B, M]`: the only cells given (N = M), as in `forward`.
        """
        entered = self.enter(latent[:, None], previous[:, None], action[:, None], cells)[:, 0]
        return self.layers_with_memory(entered, memory, age, cells)

    def layers_with_memory(
        self, x: Tensor, memory: list[Tensor], age: Tensor, cells: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Run the layers over one frame `[B, N, D]` against memory, as `step` does."""
        fresh, place = [], 0
        for layer in self.layers:
            if isinstance(layer, TimeLayer):
                x, key, value = layer.step(x, memory[place], memory[place + 1], age)
                fresh += [key, value]
                place += 2
            else:
                x = layer(x, cells)
        return x, fresh


class Head(nn.Module):
    """Turn h and a noisy next latent into scores for every level of every channel."""

    values: Tensor

    def __init__(self, config: DynamicsConfig) -> None:
        super().__init__()
        c, d, before = config, config.width, config.backbone.count("S")
        self.config = config
        self.noisy_in = nn.Linear(c.channels, d, bias=False)
        self.time_in = Embed(2, d)
        self.hint_in = nn.Linear(HINT_SIZE, d) if c.keypoints else None
        self.layers = nn.ModuleList(c.space_layer(before + number) for number in range(c.head_layers))
        self.norm = Norm(d)
        self.scores = nn.Linear(d, c.channels * c.levels)
        nn.init.zeros_(self.scores.weight)
        nn.init.zeros_(self.scores.bias)
        self.stay = nn.Parameter(torch.full((c.channels, 1), 0.5))
        # For each channel, the shift of its scores' centre and how fast they fall off from there.
        self.aim = nn.Linear(d, 2 * c.channels) if c.centered_scores else None
        if self.aim is not None:
            nn.init.zeros_(self.aim.weight)
            nn.init.zeros_(self.aim.bias)
        self.warp = Warp(d, c.grid, c.warp) if c.warp else None
        self.register_buffer("values", level_values(c.levels), persistent=False)

    def forward(
        self,
        h: Float[Tensor, "B N D"],
        latent: Float[Tensor, "B N C"],
        noisy: Float[Tensor, "#B #N C"],
        tau: Float[Tensor, "#B"],
        step: Float[Tensor, "#B"],
        cells: Int[Tensor, "G N"] | None = None,
        shown: Rendered | None = None,
        hint: Float[Tensor, "B N E"] | None = None,
    ) -> Float[Tensor, "B N C L"]:
        """Return scores `[B, N, C, L]` of the next latent.

        h `[B, N, D]`; latent `[B, N, C]`, the committed frame, towards which the scores lean at first;
        noisy `[B, N, C]`, the next latent at signal level tau `[B]` in [0, 1]; step `[B]`, the step size;
        cells `[G, M]`: the only cells given, for each of G equal groups of rows; shown: the committed frame as a
        picture, which a head that warps needs; hint: of the keypoints of the next frame, in worlds that have them.
        """
        return self.scores_and_picture(h, latent, noisy, tau, step, cells, shown, hint)[0]

    def scores_and_picture(
        self,
        h: Tensor,
        latent: Tensor,
        noisy: Tensor,
        tau: Tensor,
        step: Tensor,
        cells: Tensor | None = None,
        shown: Rendered | None = None,
        hint: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the scores of `forward`, and the picture it fetched (`Warp.forward`), if it warps."""
        x = h + self.noisy_in(noisy) + self.time_in(torch.stack([tau, step], -1))[:, None]
        if self.hint_in is not None:
            x = x + self.hint_in(hint)
        for layer in self.layers:
            x = layer(x, cells)
        x, picture = self.norm(x), None
        if self.warp is not None:
            latent, picture = self.warp(x, latent, shown, cells)
        scores = self.scores(x).unflatten(-1, (self.config.channels, self.config.levels)).float()
        if self.aim is None:
            away = (latent[..., None] - self.values) * ((self.config.levels - 1) / 2)
            return scores - F.softplus(self.stay) * away.square(), picture
        shift, sharpness = self.aim(x).float().chunk(2, -1)
        away = ((latent + shift)[..., None] - self.values) * CENTERED_FALL
        return scores - F.softplus(self.stay + sharpness[..., None]) * away.square(), picture

    def render(self, latent: Tensor, tokenizer: TokenizerLike | None) -> Rendered | None:
        """Return what `forward` must see of committed latents `[B, N, C]`: a picture, if it warps.

        It is decoded by `tokenizer`. Raises `ConfigError` if there is none where there must be one.
        """
        if self.warp is None:
            return None
        if tokenizer is None:
            raise ConfigError(
                "`tokenizer` must be the world's tokenizer for a head that warps, got none. Pass world.tokenizer."
            )
        return render(tokenizer, latent)

    def expected(self, scores: Tensor) -> Tensor:
        """Return the expected latent `[B, N, C]` under scores `[B, N, C, L]`: the x-prediction."""
        return (scores.softmax(-1) * self.values).sum(-1)


class Dynamics(nn.Module):
    """Backbone and head of one world, and its keypoints if it has them."""

    def __init__(self, config: DynamicsConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone, self.head = Backbone(config), Head(config)
        self.keypoints = None
        if config.keypoints:
            groups = config.keypoint_groups or GROUPS
            self.keypoints = Keypoints(config.keypoints, config.grid, config.action_size, groups)
        depth = 2 * (len(config.backbone) + config.head_layers)
        for name, weight in (*self.backbone.named_parameters(), *self.head.named_parameters()):
            if weight.ndim == 2 and name.endswith((".out.weight", ".fall.weight")):
                nn.init.normal_(weight, std=(weight.shape[1] * depth) ** -0.5)
            elif name.endswith("near.weight"):
                nn.init.normal_(weight, std=0.1)
