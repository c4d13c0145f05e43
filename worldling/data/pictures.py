"""What environments draw, of any type and shape, as RGB pictures uint8 `[H, W, 3]`; else an error names the cause."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from worldling.errors import EnvError

#: Numbers of colour values of a pixel: grey, RGB, RGB and opacity.
_COLOURS = (1, 3, 4)


class Pictures:
    """Turns what one environment draws into RGB pictures.

    Grey is shown in all three colours, opacity is dropped, colours that come first go last, the newest of a list or
    batch of one is taken. Floats are 0 to 1 or 0 to 255: the first picture that holds more than black says which, for
    all of them.
    """

    def __init__(self, env_id: str) -> None:
        self.env_id = env_id
        self._scale = 0.0  # of floats: 255 or 1 once known

    def convert(self, drawn: Any) -> np.ndarray:
        """Return the picture uint8 `[H, W, 3]`. Raises `EnvError` if `drawn` is none, or not clearly one."""
        if isinstance(drawn, (list, tuple)) and drawn and np.ndim(drawn[-1]) in (2, 3):
            drawn = drawn[-1]  # of render_mode "rgb_array_list"
        if isinstance(drawn, Image.Image):
            drawn = drawn.convert("RGB")
        try:
            picture = np.asarray(drawn)
        except Exception as error:  # of another library's array
            raise self._no(f"a {type(drawn).__name__} that is no array ({error})") from None
        if picture.dtype.kind not in "biuf":
            raise self._no(f"a {type(drawn).__name__}")
        return self._bytes(self._colours(picture))

    def _colours(self, picture: np.ndarray) -> np.ndarray:
        """Return `picture` as `[H, W, 3]`."""
        shape = list(picture.shape)
        if picture.ndim == 4 and len(picture) == 1:
            picture = picture[0]
        if picture.ndim == 2:
            picture = picture[..., None]
        if picture.ndim != 3 or 0 in picture.shape:
            raise self._no(f"an array {shape}")
        first, last = picture.shape[0] in _COLOURS, picture.shape[-1] in _COLOURS
        if first and not last:
            picture = np.moveaxis(picture, 0, -1)
        elif not last:
            raise self._no(f"an array {shape}, whose first and last axes are no colours")
        return np.repeat(picture, 3, -1) if picture.shape[-1] == 1 else picture[..., :3]

    def _bytes(self, picture: np.ndarray) -> np.ndarray:
        """Return the values of `picture` as 0 to 255."""
        kind = picture.dtype
        if kind == np.uint8:
            return picture
        if kind == np.bool_:
            return picture.astype(np.uint8) * np.uint8(255)
        low, high = float(picture.min()), float(picture.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise self._no(f"a picture of {kind} with NaN or infinity in it")
        slack = 1e-3 if kind.kind == "f" else 0.0
        if low < -slack or high > 255 * (1 + slack):
            raise self._no(f"a picture of {kind} from {low:g} to {high:g}")
        if kind.kind != "f":
            return picture.astype(np.uint8)
        if not self._scale and high > 0:
            self._scale = 255.0 if high <= 1 + slack else 1.0
        if self._scale == 255.0 and high > 1 + slack:
            raise self._no(f"a picture of {kind} up to {high:g} after others within 0 to 1")
        return np.clip(np.rint(picture.astype(np.float32) * (self._scale or 1.0)), 0, 255).astype(np.uint8)

    def _no(self, got: str) -> EnvError:
        return EnvError(
            f"`env_id` must draw pictures uint8 [H, W, 3], got {got} from {self.env_id!r}. Let it return colours from "
            "0 to 255, or floats from 0 to 1."
        )
