"""One trial: a scene compiled for MuJoCo, stepped frame by frame, with contacts read from the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from worldling.scenes import mjcf
from worldling.scenes.draw import Draw
from worldling.scenes.names import SCENARIOS
from worldling.scenes.scenarios import Motion, lay_out

FPS = 12.5  # at 25 most things move less than a level of a latent channel from frame to frame, and dreams freeze
SUBSTEPS = round(1.0 / FPS / mjcf.TIMESTEP)
PUSH = 15.0  # m/s2 that an action of 1 gives the agent; what rests begins to slide at a third of it
#: Metres by which two things may overlap as they are laid out, and geometries drawn until they do not: the engine
#: throws apart what does.
OVERLAP, TRIES = 0.005, 50
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


@dataclass(frozen=True)
class TrialSeed:
    """What makes a trial: the same values give the same pixels.

    geometry: seed of what stands where; motion: seed of how it starts; outside: parameters from beyond the
    training ranges.
    """

    scenario: str
    geometry: int
    motion: int
    outside: bool = False


class Trial:
    """A running trial. `advance` goes one frame of 80 ms; `touching` and `touched` are the engine's contacts.

    layout: what stands in the tray; model, data: MuJoCo's own. agent, patient: the body numbers of red and
    yellow; agent is None where red is a cloth.
    """

    def __init__(self, seed: TrialSeed) -> None:
        self.seed = seed
        number = SCENARIOS.index(seed.scenario)
        draw = Draw(np.random.default_rng([seed.geometry, number]), seed.outside)
        for _ in range(TRIES):
            self.layout = lay_out(seed.scenario, draw)
            self.model = mujoco.MjModel.from_xml_string(mjcf.write(self.layout.bodies, self.layout.view))
            self.data = mujoco.MjData(self.model)
            mujoco.mj_forward(self.model, self.data)
            if not (self.data.contact.dist < -OVERLAP).any():
                break
        roles = [body.role for body in self.layout.bodies]
        self.cloth = any(isinstance(body, mjcf.Cloth) for body in self.layout.bodies)
        self.agent = None if self.cloth else self._body(roles.index("agent"))
        self.patient = self._body(roles.index("patient"))
        self._agent_mass = 0.0 if self.cloth else float(self.model.body_mass[self.agent])
        self.start(seed.motion)

    def start(self, motion: int) -> None:
        """Put everything back and start it with the motion of that seed."""
        rng = np.random.default_rng([self.seed.geometry, motion, 1])
        self.seed = TrialSeed(self.seed.scenario, self.seed.geometry, motion, self.seed.outside)
        mujoco.mj_resetData(self.model, self.data)
        self._launch(self.layout.start(Draw(rng, self.seed.outside)))
        mujoco.mj_forward(self.model, self.data)
        self.frame, self.touching, self.touched = 0, self._in_contact(), False
        self.touched = self.touching

    def advance(self, action: np.ndarray | None = None) -> None:
        """Go one frame; action `[2]` in -1..1 pushes red right and away from the camera."""
        self.touching = False
        for _ in range(SUBSTEPS):
            if action is not None:
                self._push(action)
            mujoco.mj_step(self.model, self.data)
            self.touching = self.touching or self._in_contact()
        self.touched = self.touched or self.touching
        self.frame += 1

    def perturb(self, rng: np.random.Generator, share: float) -> None:
        """Multiply every velocity by 1 + noise of that standard deviation: a copy that is all but the same."""
        self.data.qvel[:] *= 1.0 + share * rng.standard_normal(self.model.nv)

    def energy(self) -> float:
        """Kinetic energy and potential energy above the floor, in joules."""
        mujoco.mj_energyPos(self.model, self.data)
        mujoco.mj_energyVel(self.model, self.data)
        return float(self.data.energy.sum())

    def agent_place(self) -> np.ndarray:
        """Centre of red `[3]`, metres."""
        return np.array(self.data.flexvert_xpos.mean(axis=0) if self.cloth else self.data.xipos[self.agent])

    def patient_place(self) -> np.ndarray:
        """Centre of yellow `[3]`, metres."""
        return np.array(self.data.xipos[self.patient])

    def gaps(self) -> np.ndarray:
        """Distances of the engine's contacts between red and yellow now, metres, below 0 where they overlap: `[n]`."""
        contact = self.data.contact
        if not self.data.ncon:
            return np.zeros(0)
        geoms = contact.geom
        bodies = self.model.geom_bodyid[geoms]  # geom -1 (a flex) reads the last geom's body: masked below
        yellow = (bodies == self.patient) & (geoms >= 0)
        red = contact.flex >= 0 if self.cloth else (bodies == self.agent) & (geoms >= 0)
        return np.asarray(contact.dist[red[:, 0] & yellow[:, 1] | red[:, 1] & yellow[:, 0]])

    def get_state(self) -> dict[str, Any]:
        """Return everything that `set_state` needs to go on from here."""
        physics = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, self.data, physics, _STATE)
        return {
            "seed": self.seed,
            "physics": physics,
            "frame": self.frame,
            "touching": self.touching,
            "touched": self.touched,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a state of this trial's geometry."""
        mujoco.mj_setState(self.model, self.data, state["physics"], _STATE)
        mujoco.mj_forward(self.model, self.data)
        self.seed, self.frame = state["seed"], state["frame"]
        self.touching, self.touched = state["touching"], state["touched"]

    def _body(self, index: int) -> int:
        return int(mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, f"b{index}"))

    def _launch(self, motion: Motion) -> None:
        for index, (velocity, spin) in motion.items():
            if self.cloth and index == 0:
                self.data.qvel.reshape(-1, 3)[self._cloth_rows()] = velocity
                continue
            first = self.model.body_dofadr[self._body(index)]
            self.data.qvel[first : first + 3] = velocity
            # MuJoCo keeps a free body's spin in its own frame.
            mujoco.mj_kinematics(self.model, self.data)
            own = self.data.xmat[self._body(index)].reshape(3, 3)
            self.data.qvel[first + 3 : first + 6] = own.T @ np.asarray(spin)

    def _cloth_rows(self) -> np.ndarray:
        """Rows of qvel (in threes) that belong to the cloth's points."""
        bodies = self.model.flex_vertbodyid
        return np.asarray(self.model.body_dofadr[bodies] // 3)

    def _push(self, action: np.ndarray) -> None:
        push = PUSH * np.asarray([action[0], action[1], 0.0])
        if not self.cloth:
            self.data.xfrc_applied[self.agent, :3] = self._agent_mass * push
            return
        bodies = self.model.flex_vertbodyid
        self.data.xfrc_applied[bodies, :3] = self.model.body_mass[bodies, None] * push

    def _in_contact(self) -> bool:
        """Say whether red and yellow touch now: a contact of the engine with no gap."""
        return bool((self.gaps() <= 0).any())
