"""The scenes as Gymnasium environments: a hand pushes the red agent, and everything else follows.

Action: Box [2] in -1..1, a push to the right and away from the camera; [0, 0] lets things happen. One step is
80 ms. `reset(seed=)` draws a new trial; `reset(options={"geometry": g, "motion": m})` makes a chosen one, and
"scenario" in the options chooses the scene of `worldling/Physics-v0`. Reward is 1 in the step in which red first
touches yellow; an episode ends only by its length.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from worldling.errors import EnvError, nearest
from worldling.scenes.camera import AGENT, PATIENT, Camera
from worldling.scenes.names import SCENARIOS, VERSION
from worldling.scenes.trial import FPS, Trial, TrialSeed

_MASK_PX = 64


class SceneEnv(gymnasium.Env):
    """One of the eight scenes, or with `scenario=None` another one in each episode.

    scenario: its name, of `SCENARIOS`; without: a scene that is never drawn (to leave one out); outside: take
    sizes, speeds, colours and cameras from beyond the training ranges; num_steps: length of an episode;
    obs_type: "pixels" (uint8 `[size_px, size_px, 3]`) or "state" (float32 [6]: centres of red and yellow, metres).
    Raises `EnvError` for unknown names.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": FPS, "version": VERSION}  # noqa: RUF012 - so Gymnasium declares it

    def __init__(
        self,
        scenario: str | None = None,
        without: str = "",
        outside: bool = False,
        num_steps: int = 40,
        obs_type: str = "pixels",
        size_px: int = 64,
        render_mode: str | None = "rgb_array",
    ) -> None:
        for name in filter(None, (scenario, without)):
            if name not in SCENARIOS:
                raise EnvError(f"`scenario` must be a scene, got {name!r}. {nearest(name, SCENARIOS)}")
        if obs_type not in ("pixels", "state"):
            raise EnvError(f"`obs_type` must be pixels or state, got {obs_type!r}. Use pixels.")
        self.scenarios = [scenario] if scenario else [name for name in SCENARIOS if name != without]
        self.outside, self.num_steps, self.obs_type, self.size_px = outside, num_steps, obs_type, size_px
        self.render_mode = render_mode
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        pixels = gymnasium.spaces.Box(0, 255, (size_px, size_px, 3), np.uint8)
        self.observation_space = (
            pixels if obs_type == "pixels" else gymnasium.spaces.Box(-np.inf, np.inf, (6,), np.float32)
        )
        self._trial: Trial | None = None
        self._camera: Camera | None = None

    @property
    def trial(self) -> Trial:
        """The trial that runs. Raises `EnvError` before the first reset."""
        if self._trial is None:
            raise EnvError("`reset` must be called before anything else, got no trial yet. Call reset().")
        return self._trial

    @property
    def camera(self) -> Camera:
        """What draws the trial. Raises `EnvError` before the first reset and after `close`."""
        if self._camera is None:
            raise EnvError("`reset` must be called before drawing, got no trial that is open. Call reset().")
        return self._camera

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Lay out a new trial and start it."""
        super().reset(seed=seed)
        chosen = dict(options or {})
        scenario = self.scenarios[int(self.np_random.integers(len(self.scenarios)))]
        geometry, motion = (int(self.np_random.integers(2**62)) for _ in range(2))
        self._open(
            TrialSeed(
                chosen.get("scenario", scenario),
                chosen.get("geometry", geometry),
                chosen.get("motion", motion),
                self.outside,
            )
        )
        return self._observe(), self._info()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Push red for 80 ms."""
        before = self.trial.touched
        self.trial.advance(np.clip(action, -1.0, 1.0))
        reward = float(self.trial.touched and not before)
        return self._observe(), reward, False, self.trial.frame >= self.num_steps, self._info()

    def render(self) -> np.ndarray:
        """Draw the trial: uint8 `[size_px, size_px, 3]`."""
        return self.draw(self.size_px)

    def draw(self, size_px: int) -> np.ndarray:
        """Draw the trial at any size: uint8 `[size_px, size_px, 3]`."""
        return self.camera.frame(size_px)

    def masks(self, size_px: int = _MASK_PX) -> np.ndarray:
        """Say which thing each pixel shows, uint8 `[size_px, size_px]`: see `worldling.scenes.camera`."""
        return self.camera.masks(size_px)

    def get_state(self) -> dict[str, Any]:
        """Return all that `set_state` needs to go on from here, the trial's seeds included."""
        return self.trial.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a state; one of another trial opens that trial."""
        ours, theirs = self.trial.seed, state["seed"]
        if (ours.scenario, ours.geometry, ours.outside) != (theirs.scenario, theirs.geometry, theirs.outside):
            self._open(theirs)
        self.trial.set_state(state)

    def record(self) -> dict[str, np.ndarray]:
        """Return what a recording keeps of every frame, for the judge.

        scenario: its number in SCENARIOS; geometry, motion: the trial's seeds; outside; touching: red and
        yellow touch in this frame; agent, patient `[3]`: their centres in metres; agent_seen, patient_seen
        `[3]`: centre (x, y) and area in shares of the picture (NaN and 0 if hidden); energy in joules.
        """
        trial, masks = self.trial, self.masks()
        return {
            "scenario": np.array(SCENARIOS.index(trial.seed.scenario), np.int8),
            "geometry": np.array(trial.seed.geometry, np.int64),
            "motion": np.array(trial.seed.motion, np.int64),
            "outside": np.array(trial.seed.outside),
            "touching": np.array(trial.touching),
            "agent": trial.agent_place().astype(np.float32),
            "patient": trial.patient_place().astype(np.float32),
            "agent_seen": _seen(masks == AGENT),
            "patient_seen": _seen(masks == PATIENT),
            "energy": np.array(trial.energy(), np.float32),
        }

    def close(self) -> None:
        """Free the drawing."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def _open(self, seed: TrialSeed) -> None:
        self.close()
        self._trial = Trial(seed)
        self._camera = Camera(self._trial)

    def _observe(self) -> np.ndarray:
        if self.obs_type == "pixels":
            return self.draw(self.size_px)
        return np.concatenate([self.trial.agent_place(), self.trial.patient_place()]).astype(np.float32)

    def _info(self) -> dict[str, Any]:
        seed = self.trial.seed
        return {
            "scenario": seed.scenario,
            "geometry": seed.geometry,
            "motion": seed.motion,
            "touched": self.trial.touched,
        }


def _seen(mask: np.ndarray) -> np.ndarray:
    if not mask.any():
        return np.array([np.nan, np.nan, 0.0], np.float32)
    y, x = np.nonzero(mask)
    return np.array([(x.mean() + 0.5) / mask.shape[1], (y.mean() + 0.5) / mask.shape[0], mask.mean()], np.float32)
