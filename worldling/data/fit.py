"""Fitting pictures of any shape into the square frames that networks read.

A frame stays a square tensor. Where the picture lies in it is kept in dataset.json, carried to the world's card, and
the player shows that part alone, in the picture's own shape.

    pad       the whole picture, kept in shape, in the middle; black around it
    crop      the middle of the picture, kept in shape, which fills the frame
    squeeze   the whole picture, stretched to fill the frame
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from worldling.errors import ConfigError, nearest

FITS = ("pad", "crop", "squeeze")
SMALLEST_PX, LARGEST_PX = 8, 1024

#: Pixels asked for: the side of a square, or width and height, as numbers or as text such as "64" or "96x72".
Size = int | str | Sequence[int]


@dataclass(frozen=True)
class Picture:
    """Where the picture lies in a square frame: left, top, width, height in px; aspect: its true width over height."""

    left: int
    top: int
    width: int
    height: int
    aspect: float

    def cut(self, frame: np.ndarray) -> np.ndarray:
        """Return the picture out of a frame or frames `[..., H, W, 3]`."""
        return frame[..., self.top : self.top + self.height, self.left : self.left + self.width, :]

    def fill(self, picture: UInt8[np.ndarray, "H W 3"], size_px: int) -> UInt8[np.ndarray, "{size_px} {size_px} 3"]:
        """Return a frame where the middle of a picture uint8 `[H, W, 3]` of any size fills this place."""
        height, width = picture.shape[:2]
        kept_w, kept_h = (
            max(1, min(width, round(height * self.aspect))),
            max(1, min(height, round(width / self.aspect))),
        )
        y, x = (height - kept_h) // 2, (width - kept_w) // 2
        frame = np.zeros((size_px, size_px, 3), np.uint8)
        self.cut(frame)[:] = resize(picture[y : y + kept_h, x : x + kept_w], self.width, self.height)
        return frame


@dataclass(frozen=True)
class Fit:
    """How pictures become frames. width, height: pixels that they may fill; kind: one of `FITS`."""

    width: int
    height: int
    kind: str = "pad"

    @property
    def side(self) -> int:
        """Side of the square frames."""
        return max(self.width, self.height)

    @property
    def box(self) -> tuple[int, ...]:
        """Width and height as a data set keeps them: nothing if they are the frame's."""
        return () if self.width == self.height else (self.width, self.height)

    def place(self, height: int, width: int) -> Picture:
        """Say where a picture of `height` by `width` px goes."""
        inner, aspect = (self.width, self.height), width / height
        if self.kind == "pad":
            scale = min(self.width / width, self.height / height)
            inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        elif self.kind == "crop":
            aspect = self.width / self.height
        left, top = (self.side - inner[0]) // 2, (self.side - inner[1]) // 2
        return Picture(left, top, inner[0], inner[1], aspect)

    def apply(self, picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "{self.side} {self.side} 3"]:
        """Turn a picture uint8 `[H, W, 3]` into a frame uint8 `[side, side, 3]`."""
        height, width = picture.shape[:2]
        if self.kind == "crop":
            scale = min(width / self.width, height / self.height)
            kept_w, kept_h = max(1, round(self.width * scale)), max(1, round(self.height * scale))
            y, x = (height - kept_h) // 2, (width - kept_w) // 2
            picture = picture[y : y + kept_h, x : x + kept_w]
        place = self.place(height, width)
        resized = resize(picture, place.width, place.height)
        if resized.shape[:2] == (self.side, self.side):
            return resized
        frame = np.zeros((self.side, self.side, 3), np.uint8)
        place.cut(frame)[:] = resized
        return frame

    def describe(self, height: int, width: int) -> dict[str, Any]:
        """Return the fields of `DatasetMeta` that keep this fit, for pictures of `height` by `width` px."""
        place = self.place(height, width)
        part = (place.left, place.top, place.width, place.height)
        whole = part == (0, 0, self.side, self.side)
        return {
            "size_px": self.side,
            "fit": self.kind,
            "box_px": self.box,
            "picture_px": () if whole else part,
            "aspect": round(place.aspect, 4),
        }

    def sentence(self, height: int, width: int) -> str:
        """Say for people what happens to pictures of `height` by `width` px; nothing if they are of this shape."""
        place = self.place(height, width)
        side = f"{self.side}x{self.side}"
        if (
            abs(width * self.height - height * self.width) < max(width, height)
            and self.side == self.width == self.height
        ):
            return ""
        said = {
            "pad": f"are padded: {place.width}x{place.height} in frames of {side}. "
            "--fit crop fills the frame with their middle, --fit squeeze stretches them",
            "crop": f"are cropped to their middle, {place.width}x{place.height} in frames of {side}",
            "squeeze": f"are squeezed to {place.width}x{place.height} in frames of {side}",
        }
        return f"pictures of {width}x{height} {said[self.kind]}."


def resize(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize a uint8 `[H, W, 3]` picture.

    Averages areas when it gets smaller, so that a thin or small thing dims instead of vanishing
    between samples; interpolates linearly when it gets larger.
    """
    if picture.shape[:2] == (height, width):
        return np.ascontiguousarray(picture)
    smaller = width <= picture.shape[1] and height <= picture.shape[0]
    resample = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize((width, height), resample))


def make_fit(size_px: Size, kind: str = "pad") -> Fit:
    """Read a size such as 64, "64", "96x72" or (96, 72), width first. Raises `ConfigError`."""
    if kind not in FITS:
        raise ConfigError(f"`fit` must be pad, crop or squeeze, got {kind!r}. {nearest(kind, FITS)}")
    if isinstance(size_px, str):
        found = re.fullmatch(r"\s*(\d+)(?:\s*[x*]\s*(\d+))?\s*", size_px)
        if not found:
            raise ConfigError(f"`size_px` must be a side or WIDTHxHEIGHT, got {size_px!r}. Write 64 or 96x72.")
        sides: tuple[int, ...] = tuple(int(number) for number in found.groups() if number)
    else:
        sides = (int(size_px),) if isinstance(size_px, (int, np.integer)) else tuple(int(n) for n in size_px)
    if len(sides) not in (1, 2) or not all(SMALLEST_PX <= n <= LARGEST_PX for n in sides):
        shown = "x".join(map(str, sides))
        raise ConfigError(f"`size_px` must be {SMALLEST_PX} to {LARGEST_PX}, got {shown}. Choose 64, 96x72 or 128.")
    return Fit(sides[0], sides[-1], kind)


def fit_of(source: Mapping[str, Any], size_px: int) -> Fit:
    """Return how the pictures of a world of `size_px` were fitted; source: a data set's dataset.json, in a card."""
    return make_fit(tuple(source.get("box_px") or ()) or size_px, str(source.get("fit", "squeeze")))


def picture_of(source: Mapping[str, Any], size_px: int) -> Picture:
    """Return where the picture lies in frames of `size_px`; source: a data set's dataset.json, in a world's card.

    Raises `ConfigError` if what it says does not lie in the frame.
    """
    part, aspect = source.get("picture_px") or (0, 0, size_px, size_px), source.get("aspect", 1.0)
    numbers = isinstance(part, (list, tuple)) and all(type(n) is int for n in part)
    if not numbers or len(part) != 4 or type(aspect) not in (int, float) or not 1 / 16 <= aspect <= 16:
        raise ConfigError(f"`picture_px` must be four whole numbers and `aspect` 1/16 to 16, got {part!r}, {aspect!r}.")
    left, top, width, height = part
    if min(left, top) < 0 or min(width, height) < 1 or left + width > size_px or top + height > size_px:
        raise ConfigError(f"`picture_px` must lie in a frame of {size_px} px, got {list(part)}. Train the world again.")
    return Picture(left, top, width, height, float(aspect))
