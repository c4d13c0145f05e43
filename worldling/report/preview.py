"""A short moving picture of a world, for pages that show many."""

from __future__ import annotations

import io

import numpy as np

#: Side of the picture at most, in px.
MOST_PX = 160


def write_preview(frames: np.ndarray, fps: float, most_px: int = MOST_PX) -> bytes:
    """Encode frames uint8 `[T, H, W, 3]`, T at least 1, as an endless animated WebP of at most `most_px` a side."""
    from PIL import Image

    height, width = frames.shape[1:3]
    scale = min(1.0, most_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    pictures = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    pictures = [picture if picture.size == size else picture.resize(size, Image.Resampling.BOX) for picture in pictures]
    out = io.BytesIO()
    pictures[0].save(
        out, "WEBP", save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0, quality=80, method=4
    )
    return out.getvalue()
