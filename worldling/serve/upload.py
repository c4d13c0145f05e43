"""A picture of the player's own: what was sent is read with limits, since anything may be sent."""

from __future__ import annotations

import io

import numpy as np

from worldling.errors import ServeError
from worldling.untrusted import printable

#: Bytes of the file, and pixels of the picture, at most.
MOST_BYTES, MOST_PIXELS = 8 * 2**20, 50_000_000
#: A larger picture is reduced to this side before anything else is done with it.
SIDE_PX = 1024
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


def read_picture(data: bytes) -> np.ndarray:
    """Return the picture in an image file, uint8 `[H, W, 3]` of at most 1024 px a side, upright, on white.

    Raises `ServeError` for anything else, or more than 50 million pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:  # known before anything is unpacked
                raise ServeError(
                    f"`picture` must have at most {MOST_PIXELS:,} pixels, got {width} x {height}. Make it smaller."
                )
            picture.draft("RGB", (SIDE_PX, SIDE_PX))  # a JPEG is unpacked at a smaller size
            upright = ImageOps.exif_transpose(picture)
            upright.thumbnail((SIDE_PX, SIDE_PX))
            clear = upright.convert("RGBA")
            return np.asarray(Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB"))
    except UnidentifiedImageError:
        got = "another file"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        got = printable(str(error))[:100]
    raise ServeError(f"`picture` must be a PNG, JPEG, WebP, GIF or BMP file, got {got}. Choose another.")
