"""Fetching: each pixel of a new picture is taken from elsewhere in an old one."""

import torch
from jaxtyping import Float
from torch import Tensor


def fetch(picture: Float[Tensor, "B C H W"], offset: Float[Tensor, "B 2 H W"]) -> Float[Tensor, "B C H W"]:
    """Sample a picture `[B, C, H, W]` at each pixel's own place plus `offset` `[B, 2, H, W]`.

    Offsets are to the right and down, in pixels. Bilinear; beyond the edge is what lies on it. Whole pixels are counted
    in integers and only what is left of them in floats: in bf16 a place as such, 40 pixels from the edge, is known to
    an eighth of a pixel. Gradients reach `offset`, and `picture` too where it wants them.
    """
    height, width = picture.shape[-2:]
    flat, whole = picture.flatten(2), offset.detach().floor()
    right, down = (offset - whole)[:, :, None].unbind(1)
    x = whole[:, 0].long() + torch.arange(width, device=offset.device)
    y = whole[:, 1].long() + torch.arange(height, device=offset.device)[:, None]

    def at(y: Tensor, x: Tensor) -> Tensor:
        index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
        return flat.gather(2, index.flatten(1)[:, None].expand(-1, flat.shape[1], -1)).view_as(picture)

    above = at(y, x).lerp(at(y, x + 1), right)
    below = at(y + 1, x).lerp(at(y + 1, x + 1), right)
    return above.lerp(below, down)
