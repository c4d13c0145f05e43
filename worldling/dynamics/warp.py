"""Warping: the head may fetch a cell's next content from elsewhere in the picture on show.

Moving an object by one pixel is a shift of the picture but a nonlinear change of every latent channel, so a head that
predicts latents alone lets moving objects dissolve. Therefore the committed latent is decoded, the picture is sampled
at the place the head gives for each cell (optical flow), and encoded again; the head's scores start from there as far
as its gate is open. Frame prediction by flow with a mask as in Finn et al. (arXiv 1605.07157) and Liu et al. (arXiv
1702.02463); ours differs in that the warped picture feeds a head over latents, which fills in what was nowhere in the
last frame.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldling.nn.fetch import fetch
from worldling.types import float_to_frames, frames_to_float

#: Pixels of flow for an output of one.
REACH = 2.0
#: Logit of the gate at first: a fifth of the way to what is fetched.
INITIAL_GATE = -1.5


class TokenizerLike(Protocol):
    """What a tokenizer does: latents `[B, N, C]` to pictures `[B, 3, H, W]` and back, before the lattice."""

    def decode(self, latent: Tensor) -> Tensor: ...

    def bounded(self, images: Tensor) -> Tensor: ...


class Rendered(NamedTuple):
    """The committed frame as people see it.

    A picture `[B, 3, H, W]` in [-1, 1], rounded to 8 bits, and the tokenizer that decoded it.
    """

    picture: Tensor
    tokenizer: TokenizerLike


@torch.no_grad()
def render(tokenizer: TokenizerLike, latent: Tensor) -> Rendered:
    """Return the view of latents `[B, N, C]`. No gradient goes back into them."""
    return Rendered(frames_to_float(float_to_frames(tokenizer.decode(latent).float())), tokenizer)


class Warp(nn.Module):
    """Turn the head's features into offsets and gates, one for each of side x side parts of a token's place."""

    def __init__(self, width: int, grid: int, side: int) -> None:
        super().__init__()
        self.grid, self.side = grid, side
        self.flow = nn.Linear(width, 3 * side**2)
        nn.init.zeros_(self.flow.weight)
        with torch.no_grad():
            self.flow.bias.copy_(torch.tensor([0.0] * (2 * side**2) + [INITIAL_GATE] * side**2))

    def forward(self, x: Tensor, latent: Tensor, shown: Rendered, cells: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return latents `[B, N, C]` with what moved where it goes, and the warped picture they are from.

        x `[B, N, D]`; latent `[B, N, C]`; cells `[G, M]`: the only ones in x and latent, as in `Head.forward`; shown:
        the whole frames. The picture is `[B, 3, H, W]`.
        """
        parts = self.side**2
        offset, gate = self.flow(x).float().split([2 * parts, parts], -1)
        if cells is not None:
            cells = cells if len(x) == len(cells) else cells.repeat_interleave(len(x) // len(cells), 0)
            nowhere = offset.new_zeros(x.shape[0], self.grid**2, 2 * parts)
            offset = nowhere.scatter(1, cells[..., None].expand_as(offset), offset)
        field = REACH * F.pixel_shuffle(offset.transpose(1, 2).unflatten(2, (self.grid, self.grid)), self.side)
        size = shown.picture.shape[-1] // field.shape[-1]
        picture = fetch(shown.picture, F.interpolate(field, scale_factor=float(size), mode="nearest"))
        with torch.no_grad():  # flow learns from pictures (`flow_error`), which is cheaper than through the encoder
            fetched = shown.tokenizer.bounded(picture)
        if cells is not None:
            fetched = fetched.gather(1, cells[..., None].expand_as(latent))
        away = (fetched - latent).unflatten(-1, (-1, parts)) * gate.sigmoid()[..., None, :]
        return latent + away.flatten(-2), picture


def flow_error(fetched: Tensor, truth: Tensor, grid: int) -> Tensor:
    """Return how far pictures `[B, 3, H, W]` are apart at each token's place: `[B, N]`."""
    return F.avg_pool2d((fetched - truth).abs().mean(1, keepdim=True), truth.shape[-1] // grid).flatten(1)
