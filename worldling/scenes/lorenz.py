"""Lorenz's system of 1963: a ball seen from the front in orange, and the same ball seen from above in blue.

    dx/dt = sigma (y - x) + push right      dy/dt = x (rho - z) - y      dz/dt = x y - beta z + push up

with sigma 10, rho 28, beta 8/3: the textbook of chaos (E. N. Lorenz, Deterministic nonperiodic flow, 1963). Without
pushes its largest Lyapunov exponent is 0.9056 per unit of time (J. C. Sprott, Chaos and Time-Series Analysis, 2003),
and the sum of all three is -(sigma + 1 + beta), because every volume shrinks alike. x goes right in both views, z up in
the front view and y up in the other, so that a single picture shows the whole state, each coordinate over most of its
side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from worldling.scenes.chaos import ChaosEnv

SIGMA, RHO, BETA = 10.0, 28.0, 8.0 / 3.0
EXPONENT = 0.9056  # per unit of time, without pushes
PUSH = 8.0  # units of x or z per unit of time that an action of 1 adds
FRAME_TIME, SUBSTEPS = 0.05, 5
_SETTLE = 400  # frames until what begins anywhere is on the attractor
_ALIGN = 40  # frames until the tangent vectors of `exponents` point where they should
#: Places in shares of the picture's side: right = 0.5 + _X x in both views, down = _Z0 - _Z z from the front and
#: 0.5 - _Y y from above.
_X, _Y, _Z, _Z0 = 0.0205, 0.0165, 0.0185, 0.96
_WIDTH = 0.05  # of a ball's glow, in shares of the side


def flow(state: np.ndarray, push: np.ndarray) -> np.ndarray:
    """Velocity of states `[..., 3]` under pushes `[..., 2]` in -1..1, per unit of time."""
    x, y, z = np.moveaxis(state, -1, 0)
    return np.stack(
        [SIGMA * (y - x) + PUSH * push[..., 0], x * (RHO - z) - y, x * y - BETA * z + PUSH * push[..., 1]], -1
    )


def tangent(state: np.ndarray) -> np.ndarray:
    """Derivative of `flow` by the state: `[..., 3]` to `[..., 3, 3]`."""
    x, y, z = np.moveaxis(state, -1, 0)
    rows = np.empty((*state.shape, 3))
    rows[..., 0, :] = -SIGMA, SIGMA, 0.0
    rows[..., 1, 0], rows[..., 1, 1], rows[..., 1, 2] = RHO - z, -1.0, -x
    rows[..., 2, 0], rows[..., 2, 1], rows[..., 2, 2] = y, x, -BETA
    return rows


def advance(state: np.ndarray, push: np.ndarray) -> np.ndarray:
    """Go one frame from states `[..., 3]` by the classical Runge-Kutta method."""
    h = FRAME_TIME / SUBSTEPS
    for _ in range(SUBSTEPS):
        a = flow(state, push)
        b = flow(state + h / 2 * a, push)
        c = flow(state + h / 2 * b, push)
        d = flow(state + h * c, push)
        state = state + h / 6 * (a + 2 * b + 2 * c + d)
    return state


def exponents(states: Float[np.ndarray, "n 3"], pushes: Float[np.ndarray, "n frames 2"]) -> Float[np.ndarray, "n 3"]:
    """Measure the Lyapunov exponents `[n, 3]`, per unit of time, of trajectories from `[n, 3]` under `[n, frames, 2]`.

    By the method of Benettin et al. (1980): the linearised flow carries three vectors along, which are made orthogonal
    again after every frame. The first 40 frames only turn them and are not counted.
    """
    h, frames = FRAME_TIME / SUBSTEPS, pushes.shape[1]
    vectors, total = np.broadcast_to(np.eye(3), (len(states), 3, 3)), np.zeros((len(states), 3))

    for frame in range(frames):
        push = pushes[:, frame]
        for _ in range(SUBSTEPS):
            a, p = flow(states, push), tangent(states) @ vectors
            b, q = flow(states + h / 2 * a, push), tangent(states + h / 2 * a) @ (vectors + h / 2 * p)
            c, r = flow(states + h / 2 * b, push), tangent(states + h / 2 * b) @ (vectors + h / 2 * q)
            d, s = flow(states + h * c, push), tangent(states + h * c) @ (vectors + h * r)
            states = states + h / 6 * (a + 2 * b + 2 * c + d)
            vectors = vectors + h / 6 * (p + 2 * q + 2 * r + s)
        vectors, lengths = np.linalg.qr(vectors)
        if frame >= _ALIGN:
            total += np.log(np.abs(np.diagonal(lengths, axis1=-2, axis2=-1)))
    return np.asarray(total / ((frames - _ALIGN) * FRAME_TIME))


def project(state: Float[np.ndarray, "*n 3"]) -> tuple[Float[np.ndarray, "*n 2"], Float[np.ndarray, "*n 2"]]:
    """Say where the ball `[..., 3]` is in the view from the front and from above.

    Returns two `[..., 2]`: (right, down) in shares of the side.
    """
    x, y, z = np.moveaxis(state, -1, 0)
    across = 0.5 + _X * x
    return np.stack([across, _Z0 - _Z * z], -1), np.stack([across, 0.5 - _Y * y], -1)


def unproject(front: Float[np.ndarray, "*n 2"], above: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 3"]:
    """The inverse of `project`: two `[..., 2]` to states `[..., 3]`."""
    x = ((front[..., 0] + above[..., 0]) / 2 - 0.5) / _X
    return np.stack([x, (0.5 - above[..., 1]) / _Y, (_Z0 - front[..., 1]) / _Z], -1)


class LorenzEnv(ChaosEnv):
    """A ball that Lorenz's equations carry about; the action pushes it right and, seen from the front, up."""

    measured, shape = "point", (3,)
    spread = np.array([7.9, 9.0, 8.6])  # standard deviations of x, y, z

    def begin(self, rng: np.random.Generator) -> None:
        """Start anywhere and settle on the attractor."""
        self.state = rng.normal(0.0, 10.0, 3) + np.array([0.0, 0.0, 25.0])
        for _ in range(_SETTLE):
            self.state = advance(self.state, np.zeros(2))

    def advance(self, action: np.ndarray) -> None:
        """Go 0.05 units of time, pushed."""
        self.state = advance(self.state, action)

    def draw(self, size_px: int) -> np.ndarray:
        """Draw the view from the front in orange (no blue in it) and that from above in blue (no red), added up."""
        front, above = (np.minimum(1.0, 1.8 * _blob(place, size_px)) for place in project(self.state))
        picture = np.stack([8 + 240 * front, 12 + 120 * front**2 + 80 * above**2, 24 + 225 * above], -1)
        return np.asarray(np.rint(np.minimum(picture, 255)), np.uint8)

    def record(self) -> dict[str, np.ndarray]:
        """Point `[3]`: x, y, z."""
        return {"point": self.state.copy()}

    def get_state(self) -> dict[str, Any]:
        """Return the point and the number of the frame."""
        return {"point": self.state.copy(), "frame": self.frame}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self.state, self.frame = state["point"].copy(), state["frame"]

    def perturb(self, rng: np.random.Generator, share: float) -> None:
        """Move x, y and z by noise of `share` of their standard deviations."""
        self.state = self.state + share * self.spread * rng.standard_normal(3)


def _blob(place: np.ndarray, size_px: int) -> np.ndarray:
    """A round Gaussian spot of brightness 1: `[size_px, size_px]`."""
    at = (np.arange(size_px) + 0.5) / size_px
    across, down = (np.exp(-0.5 * ((at - where) / _WIDTH) ** 2) for where in place)
    return np.asarray(down[:, None] * across)
