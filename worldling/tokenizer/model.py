"""The tokenizer, frame by frame: uint8-sized pictures to an h x w grid of tokens of C bounded channels, and back.

The encoder sees little beyond its own cell, so that a cell's latent changes only when something near it
moves; the decoder sees its neighbours. No convolution runs at full resolution: a pixel unshuffle
opens and a pixel shuffle closes.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from worldling.data.picture_sizes import CELL_SIDES, remedy
from worldling.errors import ConfigError
from worldling.nn.lattice import snap


@dataclass(frozen=True)
class TokenizerConfig:
    """The tokenizer's shape.

    size_px: side of a frame; grid: tokens a side; channels C of a token; levels L that a channel can take; merge: a
    token holds the latents of merge x merge cells, side by side in its channels; seen_px: side of the pictures that the
    encoder looks at, if they are smaller than a frame (which is then averaged down to them), 0 for a frame as it is.
    """

    size_px: int = 64
    grid: int = 8
    channels: int = 32
    levels: int = 4
    merge: int = 1
    seen_px: int = field(default=0, metadata={"if_set": True})

    def __post_init__(self) -> None:
        if self.cells * self.cell_px != self.size_px or self.cell_px not in CELL_SIDES:
            fix = remedy(self.size_px, self.cells, max(1, self.merge))
            raise ConfigError(
                f"`size_px` must be 4, 8, 16, 32 or 64 times the cells a side ({self.cells}), got {self.size_px}. "
                f"{fix[0].upper()}{fix[1:]}."
            )
        if self.merge < 1 or self.channels % self.merge**2:
            raise ConfigError(
                f"`merge` must be 1 or more and `channels` a multiple of its square, got {self.merge} and "
                f"{self.channels}. Use 1 or 2."
            )
        if not 2 <= self.levels <= 256:
            raise ConfigError(f"`levels` must be 2 to 256, got {self.levels}. Use 8, or 32 for a fine lattice.")
        if self.seen_px and self.size_px not in (2 * self.seen_px, 4 * self.seen_px, 8 * self.seen_px):
            raise ConfigError(
                f"`seen_px` must be 0, or a half, a quarter or an eighth of `size_px` ({self.size_px}), got "
                f"{self.seen_px}. Record pictures of another size."
            )

    @property
    def cells(self) -> int:
        """Cells a side."""
        return max(self.grid * self.merge, 1)

    @property
    def cell_px(self) -> int:
        """Side of a cell in pixels."""
        return self.size_px // self.cells

    @property
    def codes(self) -> int:
        """Channels of a cell."""
        return self.channels // self.merge**2

    @property
    def patch(self) -> int:
        """Side in pixels of the pixel shuffle: 4 up to 64 px pictures, 8 above, and no more than a cell's."""
        return min(4 if self.size_px <= 64 else 8, self.cell_px)

    @property
    def reach(self) -> int:
        """How many cells away a cell may lie and still change a pixel of this one, when decoded."""
        return 1 if len(self.widths) == 1 else 2  # 1 by the first convolution, 1/2 + 1/4 + ... by the others

    @property
    def seen(self) -> TokenizerConfig:
        """The tokenizer of the pictures that the encoder looks at."""
        return dataclasses.replace(self, size_px=self.seen_px, seen_px=0) if self.seen_px else self

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels from the grid to the finest feature map, one per doubling of the side."""
        doublings = (self.cell_px // self.patch).bit_length() - 1
        if self.seen_px:
            found = self.seen.widths
            while len(found) <= doublings:
                found += (max(32, found[-1] // (4 if len(found) == 1 else 2)),)
            return found
        return ((256,), (256, 64), (256, 96, 48), (256, 128, 64, 32), (256, 128, 96, 64, 32))[doublings]


class Residual(nn.Module):
    """x + 3x3(gelu(1x1(x))), twice as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rise = nn.Conv2d(width, 2 * width, 1)
        self.fall = nn.Conv2d(2 * width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.fall(F.gelu(self.rise(x), approximate="tanh"))


class Light(nn.Module):
    """x + 1x1(gelu(depthwise 3x3(x))): for the finest feature maps.

    At 32 channels it has a fifteenth of the operations of `Residual`.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(F.gelu(self.near(x), approximate="tanh"))


class Tokenizer(nn.Module):
    """Encode images `[B, 3, H, W]` in [-1, 1] to latents `[B, N, C]` on the lattice, and decode them."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        widths, pixels = config.seen.widths, 3 * config.seen.patch**2
        gelu = partial(nn.GELU, approximate="tanh")
        encoder: list[nn.Module] = [nn.Conv2d(pixels, 2 * widths[-1], 3, padding=1)]
        for fine, coarse in zip((2 * widths[-1], *widths[-2:0:-1]), widths[-2::-1], strict=False):
            encoder += [gelu(), nn.Conv2d(fine, coarse, 2, stride=2)]
        encoder += [gelu(), nn.Conv2d(widths[0] if len(widths) > 1 else 2 * widths[0], config.codes, 1)]
        self.encoder = nn.Sequential(*encoder)
        widths, pixels = config.widths, 3 * config.patch**2
        decoder: list[nn.Module] = [nn.Conv2d(config.codes, widths[0], 3, padding=1)]
        for number, (coarse, fine) in enumerate(itertools.pairwise(widths), 1):
            block = Residual if number < len(config.seen.widths) else Light
            decoder += [gelu(), nn.Conv2d(coarse, 4 * fine, 1), nn.PixelShuffle(2), block(fine)]
        decoder += [gelu(), nn.Conv2d(widths[-1], pixels, 1)]
        self.decoder = nn.Sequential(*decoder)

    def bounded(self, images: Float[Tensor, "B 3 H H"]) -> Float[Tensor, "B N C"]:
        """Return latents `[B, N, C]` bounded by tanh, before they are put on the lattice."""
        if self.config.seen_px:
            images = F.avg_pool2d(images, self.config.size_px // self.config.seen_px)
        grid = self.encoder(F.pixel_unshuffle(images, self.config.seen.patch))
        tokens = F.pixel_unshuffle(torch.tanh(grid.float()), self.config.merge)
        return tokens.flatten(2).transpose(1, 2)

    def encode(self, images: Float[Tensor, "B 3 H H"]) -> Float[Tensor, "B N C"]:
        """Turn images `[B, 3, H, W]` in [-1, 1] into lattice latents `[B, N, C]`."""
        return snap(self.bounded(images), self.config.levels)

    def decode(self, latent: Float[Tensor, "B N C"]) -> Float[Tensor, "B 3 H H"]:
        """Turn latents `[B, N, C]` into images `[B, 3, H, W]`, roughly in [-1, 1]."""
        return self.decode_cells(self.cells(latent))

    def cells(self, latent: Float[Tensor, "B N C"]) -> Float[Tensor, "B n h w"]:
        """Lay out latents `[B, N, C]` as a plane of cells with n codes each, `[B, n, cells, cells]`."""
        grid = latent.transpose(1, 2).unflatten(2, (self.config.grid, self.config.grid))
        return F.pixel_shuffle(grid, self.config.merge)

    def decode_cells(self, cells: Float[Tensor, "B n h w"]) -> Float[Tensor, "B 3 H W"]:
        """Turn cells `[B, n, h, w]` of a rectangle into its pixels, as if nothing were around it."""
        return F.pixel_shuffle(self.decoder(cells), self.config.patch)
