"""One dial: `--size`. Everything else has a default that trains on a laptop."""

from __future__ import annotations

from dataclasses import dataclass

from worldling.dynamics.model import DynamicsConfig
from worldling.errors import ConfigError, nearest
from worldling.tokenizer.model import TokenizerConfig
from worldling.types import ActionSpace
from worldling.world import WorldConfig

# size: grid, width, head_dim, backbone, head layers
SIZES = {
    "xs": (4, 128, 64, "STS", 1),
    "s": (8, 128, 64, "SSTSST", 1),
    "s+": (8, 192, 64, "SSTSST", 1),
    "m": (8, 256, 64, "SSTSST", 2),
    "l": (8, 384, 64, "SSTSST", 2),
    "g": (16, 384, 64, "SSTSSTSS", 2),
}


@dataclass(frozen=True)
class TrainConfig:
    """How a world is trained.

    minutes: wall-clock budget for both stages (encoding all frames between them comes on top), or steps: of each stage, if above 0 (then minutes is ignored);
    tokenizer_share: of the minutes, for the first stage; frames, clips, clip_frames: batch of the tokenizer
    (frames, in pairs of consecutive ones), of the dynamics (clips of so many frames: the memory's 18 and the one at hand); tokenizer_lr, dynamics_lr: peak learning rates;
    weight_decay: share of each of the dynamics' matrices that is lost per step and unit of learning rate;
    tokenizer_jitter: share of latent values moved one level before the decoder sees them; calm: price of a
    latent's change from frame to frame; coarse: levels that the tokenizer learns on, if its lattice is finer (tokenizer/loss.py);
    jitter: largest share of latent values moved one level in the given history; cutmix: share of the clips that do
    not end with own frames in which some cells show something else (train/spoil.py), from own_from on; mirror: reflections under which
    the world obeys the same laws (train/mirror.py); own_from: when the model's own roll-outs start to replace the end of the
    given history, as a share of the second stage; own_share: of the clips; own_frames: at most so many frames
    at the end of a clip; own_every: steps between fresh roll-outs; own_reuse: how often each is seen meanwhile; by_surprise: draw clips by how
    hard they were to predict (train/surprise.py), else by how much moves in them; bootstrap_share: of the clips on which K > 1
    worlds learn their larger denoising steps from their smaller ones; cells: share of the grid (16 cells at
    least) that most steps look at, those where most happens (K = 1 only), 0 to go by how much changes; dense_every: each so many steps, and
    all from dense_from on, see the whole grid; grid: tokens a side, 0 for the size's own; merge: a token is the
    codes of merge x merge cells (tokenizer/model.py); levels: values that a
    latent channel can take; aims: of the head (dynamics/model.py); warp: whether the head may fetch cells from elsewhere in the picture (dynamics/warp.py); pool_frames: frames the tokenizer sees.
    """

    size: str = "s"
    minutes: float = 30.0
    steps: int = 0
    passes: int = 1
    seed: int = 0
    tokenizer_share: float = 0.15
    frames: int = 32
    clips: int = 8
    clip_frames: int = 19
    tokenizer_lr: float = 4e-3
    dynamics_lr: float = 6e-3
    weight_decay: float = 0.3
    tokenizer_jitter: float = 0.02
    calm: float = 0.17
    coarse: int = 8
    jitter: float = 0.03
    cutmix: float = 0.7
    mirror: str = ""
    own_from: float = 0.5
    own_share: float = 0.5
    own_every: int = 48
    own_reuse: float = 2.0
    own_frames: int = 4
    by_surprise: bool = True
    bootstrap_share: float = 0.25
    cells: float = 0.0
    dense_every: int = 10
    dense_from: float = 0.9
    grid: int = 0
    merge: int = 1
    levels: int = 8
    aims: bool = False
    warp: bool = False
    pool_frames: int = 60_000
    ema: float = 0.998
    compile: str = "auto"


def world_config(name: str, train: TrainConfig, size_px: int, action_space: ActionSpace, fps: float) -> WorldConfig:
    """Return the networks of size `train.size` for pictures of `size_px`. Raises `ConfigError`."""
    if train.size not in SIZES:
        raise ConfigError(f"`size` must be one of {', '.join(SIZES)}, got {train.size!r}. {nearest(train.size, SIZES)}")
    grid, width, head_dim, backbone, head = SIZES[train.size]
    grid = train.grid or grid
    cells = grid * train.merge
    channels = 12 if size_px <= 4 * cells else 32 if cells >= 8 else 96
    tokenizer = TokenizerConfig(size_px, grid, channels * train.merge**2, train.levels, train.merge)
    dynamics = DynamicsConfig(
        action_size=action_space.size,
        grid=grid,
        channels=tokenizer.channels,
        levels=tokenizer.levels,
        width=width,
        head_dim=head_dim,
        backbone=backbone,
        head=head,
        passes=train.passes,
        aims=train.aims,
        warp=train.merge if train.warp else 0,
    )
    return WorldConfig(name, train.size, tokenizer, dynamics, action_space, fps)
