"""Worlds that obey the same laws in a mirror give two, four or eight times the data for nothing.

`x:0,y:1` says: mirrored left to right, number 0 of the encoded action changes its sign; mirrored top to bottom,
number 1 does. `y:2=3` says that numbers 2 and 3 trade places, as one-hot "up" and "down" do; `+` joins several.
`d:0=1` is the mirror along the diagonal, which makes rows columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from worldling.errors import ConfigError

REFLECT: dict[str, Callable[[Tensor], Tensor]] = {
    "x": lambda frames: frames.flip(-2),
    "y": lambda frames: frames.flip(-3),
    "d": lambda frames: frames.transpose(-3, -2),
}


@dataclass(frozen=True)
class Reflection:
    """One way to reflect a world, or to leave it as it is.

    parts: names of `REFLECT`, applied in turn to frames `[..., H, W, 3]`; order, sign: for each number of the
    encoded action `[..., A]`, which number it becomes and with what sign.
    """

    parts: tuple[str, ...]
    order: tuple[int, ...]
    sign: tuple[float, ...]

    def frames(self, frames: Tensor) -> Tensor:
        """Reflect frames `[..., H, W, 3]`, H = W."""
        for part in self.parts:
            frames = REFLECT[part](frames)
        return frames

    def actions(self, vectors: np.ndarray) -> np.ndarray:
        """Reflect encoded actions `[..., A]`."""
        return vectors[..., list(self.order)] * np.asarray(self.sign, vectors.dtype)


def reflections(text: str, action_size: int) -> list[Reflection]:
    """Return every combination of the reflections that `text` describes, the identity first. Raises `ConfigError`."""
    every = [Reflection((), tuple(range(action_size)), (1.0,) * action_size)]
    for part in filter(None, text.split(",")):
        axis, _, changes = part.partition(":")
        order, sign = list(range(action_size)), [1.0] * action_size
        for change in filter(None, changes.split("+")):
            numbers = [int(n) for n in change.split("=")] if re.fullmatch(r"\d+(=\d+)?", change) else [action_size]
            if max(numbers) >= action_size:
                raise _wrong(text, action_size)
            if len(numbers) == 1:
                sign[numbers[0]] = -1.0
            else:
                order[numbers[0]], order[numbers[1]] = numbers[1], numbers[0]
        if axis not in REFLECT or axis in every[-1].parts:
            raise _wrong(text, action_size)
        every += [
            Reflection(
                (*m.parts, axis),
                tuple(m.order[i] for i in order),
                tuple(m.sign[i] * s for i, s in zip(order, sign, strict=False)),
            )
            for m in every
        ]
    return every


def _wrong(text: str, action_size: int) -> ConfigError:
    return ConfigError(
        f"`mirror` must name x, y or d and what becomes of the action, got {text!r} for actions of {action_size} "
        'numbers. For example "x:0" where number 0 changes its sign, "y:2=3" where 2 and 3 trade places.'
    )
