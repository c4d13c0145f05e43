"""Smoke in a closed room: a jet that a person turns and opens blows warm smoke up, past a round pillar.

The solver is PhiFlow's (pip install "worldling[fluid]", MIT): incompressible flow on a grid of 64 x 64, smoke carried
by MacCormack's scheme, velocity semi-Lagrangian, so that the grid's own blur is all the viscosity there is. About 3
frames a second on one core: record it overnight. Nobody has published its Lyapunov time: the judge measures how fast
perturbed copies part.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from phi.flow import (
    Box,
    CenteredGrid,
    Obstacle,
    Solve,
    Sphere,
    StaggeredGrid,
    advect,
    extrapolation,
    fluid,
    math,
    resample,
    vec,
)

from worldling.scenes.chaos import ChaosEnv, smooth_noise

CELLS = 64
STEP = 0.1  # seconds of flow in a frame
RISE, KEPT = 1.2, 0.965  # lift of full smoke (rooms per second squared); share of the smoke that is left after a frame
BLOW, TURN = (
    (0.25, 0.75),
    1.0,
)  # speed of the jet (rooms per second) at action -1 and 1; radians it turns to either side
_FILL = 0.5  # share of what is missing to full smoke that the jet adds in a frame
_PILLAR = (0.5, 0.60, 0.10)  # x, height, radius
_JET = (0.5, 0.10, 0.055)
_BLOBS = 6  # puffs of smoke and of wind in the room at first
_COARSE = 6  # points along each side of the grid on which a perturbation is drawn
_SOLVE = {"rel_tol": 1e-3, "abs_tol": 1e-3, "max_iterations": 200, "rank_deficiency": 0}
_COLOURS = np.array([[10, 12, 26], [92, 32, 60], [222, 96, 38], [255, 206, 110], [255, 250, 235]], np.float64)
_FULL = 1.2  # smoke that is drawn in the last colour, and that the jet blows


class SmokeEnv(ChaosEnv):
    """Smoke in a room; the action turns the jet right (1) or left (-1) and opens (1) or throttles (-1) it."""

    measured, shape = "field", (CELLS, CELLS)
    smoke: Any  # PhiFlow's grids; its package has no types
    wind: Any

    def begin(self, rng: np.random.Generator) -> None:
        """Fill the room with a few puffs of smoke in a wind."""
        room = {"x": CELLS, "y": CELLS, "bounds": Box(x=1.0, y=1.0)}
        self._room = room
        self._pillar = Obstacle(Sphere(x=_PILLAR[0], y=_PILLAR[1], radius=_PILLAR[2]))
        jet = Sphere(x=_JET[0], y=_JET[1], radius=_JET[2])
        self._inflow = resample(jet, to=CenteredGrid(0.0, extrapolation.BOUNDARY, **room), soft=True)
        self._nozzle = resample(jet, to=StaggeredGrid(0.0, 0.0, **room), soft=True)
        at = (np.arange(CELLS) + 0.5) / CELLS
        smoke, wind = np.zeros((CELLS, CELLS)), np.zeros((2, CELLS, CELLS))
        for _ in range(_BLOBS):
            x, y, wide = *rng.uniform(0.1, 0.9, 2), rng.uniform(0.05, 0.12)
            puff = np.exp(-0.5 * ((at - x)[None] / wide) ** 2) * np.exp(-0.5 * ((at - y)[:, None] / wide) ** 2)
            smoke += rng.uniform(0.3, 0.9) * puff
            wind += rng.normal(0.0, 0.4, 2)[:, None, None] * puff
        self._set(smoke, wind[0][:, :-1], wind[1][:-1])
        self._settle()

    def advance(self, action: np.ndarray) -> None:
        """Go a tenth of a second of flow."""
        turn, speed = TURN * action[0], BLOW[0] + (BLOW[1] - BLOW[0]) * (action[1] + 1.0) / 2.0
        blow = vec(x=float(speed * np.sin(turn)), y=float(speed * np.cos(turn)))
        self.smoke = advect.mac_cormack(self.smoke, self.wind, STEP) * KEPT
        self.smoke = self.smoke + _FILL * self._inflow * (_FULL - self.smoke)
        lift = resample(self.smoke * (0.0, RISE), to=self.wind) * STEP
        self.wind = advect.semi_lagrangian(self.wind, self.wind, STEP) + lift
        self.wind = self.wind * (1.0 - self._nozzle) + self._nozzle * blow
        self._settle()

    def draw(self, size_px: int) -> np.ndarray:
        """Draw the smoke from dark over red and orange to white, and the pillar in grey."""
        at = (np.arange(size_px) + 0.5) / size_px
        cell = np.minimum((at * CELLS).astype(int), CELLS - 1)
        smoke = np.clip(self._field()[::-1][np.ix_(cell, cell)] / _FULL, 0.0, 1.0) * (len(_COLOURS) - 1)
        picture = np.stack([np.interp(smoke, np.arange(len(_COLOURS)), colour) for colour in _COLOURS.T], -1)
        away = np.hypot(at[None] - _PILLAR[0], (1.0 - at)[:, None] - _PILLAR[1]) - _PILLAR[2]
        cover = np.clip(0.5 - away * size_px, 0.0, 1.0)[..., None]
        return np.rint(picture * (1.0 - cover) + 120.0 * cover).astype(np.uint8)

    def record(self) -> dict[str, np.ndarray]:
        """Field `[64, 64]`: the smoke, from the floor up."""
        return {"field": self._field().astype(np.float32)}

    def get_state(self) -> dict[str, Any]:
        """Return smoke, wind and the number of the frame."""
        return {"smoke": self.smoke, "wind": self.wind, "frame": self.frame}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self.smoke, self.wind, self.frame = state["smoke"], state["wind"], state["frame"]

    def perturb(self, rng: np.random.Generator, share: float) -> None:
        """Change each cell's smoke and wind by smooth noise of `share` of itself; any other would be smoothed away."""
        smoke, across, up = self._field(), self._wind("x"), self._wind("y")
        self._set(
            *(part * (1.0 + share * smooth_noise(rng, _COARSE, part.shape)[..., 0]) for part in (smoke, across, up))
        )

    def _settle(self) -> None:
        """Let the pressure take the divergence out of the wind.

        Twice is not once: each time the pillar's soft edge brakes it.
        """
        solve = Solve("CG", **_SOLVE, suppress=[math.NotConverged, math.Diverged])
        self.wind, _ = fluid.make_incompressible(self.wind, [self._pillar], solve)

    def _field(self) -> np.ndarray:
        return np.asarray(self.smoke.values.numpy("y,x"))

    def _wind(self, axis: str) -> np.ndarray:
        return np.asarray(self.wind.vector[axis].values.numpy("y,x"))

    def _set(self, smoke: np.ndarray, across: np.ndarray, up: np.ndarray) -> None:
        """Take smoke `[64, 64]` and the wind on the cells' inner walls, `[64, 63]` across and `[63, 64]` up."""
        values, *walls = (
            math.tensor(np.ascontiguousarray(part.T, np.float32), math.spatial("x,y")) for part in (smoke, across, up)
        )
        self.smoke = CenteredGrid(values, extrapolation.BOUNDARY, **self._room)
        self.wind = StaggeredGrid(math.stack(walls, math.dual(vector="x,y")), 0.0, **self._room)
