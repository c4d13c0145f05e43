"""Random parameters of a trial, inside the ranges worlds are trained on or just outside them."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from worldling.scenes import mjcf

Choice = TypeVar("Choice")
OUTSIDE = 0.35  # how far beyond a range the out-of-distribution trials reach, as a share of its length


class Draw:
    """Draws numbers for one trial. outside: take sizes, speeds, colours and cameras from beyond the training ranges."""

    def __init__(self, rng: np.random.Generator, outside: bool = False) -> None:
        self.rng, self.outside = rng, outside

    def place(self, low: float, high: float) -> float:
        """Draw uniformly from a range that is the same inside and outside: places, angles."""
        return float(self.rng.uniform(low, high))

    def amount(self, low: float, high: float) -> float:
        """Draw a size or a speed: outside, from the part just above `high`."""
        if self.outside:
            low, high = high, high + OUTSIDE * (high - low)
        return float(self.rng.uniform(low, high))

    def chance(self, share: float) -> bool:
        """Say yes in `share` of the draws."""
        return bool(self.rng.random() < share)

    def sign(self) -> float:
        """Draw -1 or 1."""
        return -1.0 if self.chance(0.5) else 1.0

    def whole(self, low: int, high: int) -> int:
        """Draw a whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def one_of(self, *choices: Choice) -> Choice:
        """Draw one of the choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def colour(self) -> tuple[float, float, float]:
        """Draw a colour for anything that is neither agent nor patient."""
        return self.one_of(*(mjcf.UNSEEN_COLOURS if self.outside else mjcf.COLOURS))

    def view(self) -> mjcf.View:
        """Draw the camera and the room."""
        azimuth = self.sign() * self.place(16, 26) if self.outside else self.place(-12, 12)
        return mjcf.View(
            azimuth,
            self.place(40, 49),
            self.place(2.5, 2.62),
            self.one_of(*(mjcf.UNSEEN_FLOORS if self.outside else mjcf.FLOORS)),
            self.colour(),
        )

    def thing(
        self,
        role: str,
        x: float,
        y: float,
        rgb: tuple[float, float, float] | None = None,
        z: float = 0.0,
        scale: float = 1.0,
        shapes: tuple[str, ...] = ("box", "sphere", "cylinder"),
    ) -> mjcf.Body:
        """Draw a simple thing that rests with its foot at (x, y, z); `scale` on its usual size."""
        r = self.amount(0.10, 0.135) * scale
        shape = self.one_of(*shapes)
        tall = r * self.place(0.8, 1.4)
        size = {"box": (r * 0.9, r * 0.9, tall), "sphere": (r,), "cylinder": (r, tall)}[shape]
        height = r if shape == "sphere" else tall
        turn = self.place(0, 90) if shape == "box" else 0.0
        return mjcf.Body(role, shape, size, (x, y, z + height), (0, 0, turn), rgb or self.colour())
