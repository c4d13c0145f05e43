"""A cloth that hangs from a hand: a person swings it right and left, up and down, over two posts.

MuJoCo's flex: 81 points that keep their distances and do not collide with each other. A frame is 20 ms, so that 25
frames a second show it at half speed, as Physion's films do. Nobody has published its Lyapunov time: the judge measures
how fast perturbed copies part.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import mujoco
import numpy as np

from worldling.scenes import mjcf
from worldling.scenes.camera import Camera
from worldling.scenes.chaos import ChaosEnv, smooth_noise

SUBSTEPS = 5  # of mjcf.TIMESTEP in a frame
COUNT, SPACING = 9, 0.07
HOME, REACH = np.array([0.0, 0.0, 1.0]), np.array([0.35, 0.0, 0.16])  # metres: the hand at rest, and how far it goes
_QUICK = 7.0  # per second: how quickly the hand follows, critically damped
_AIR = 1.0  # per second: how quickly the air stops a point
_SPEED = 0.4  # m/s, a usual speed of a point
_HELD = (2, 6)  # columns of points whose uppermost hangs on the hand
_COARSE = (
    3  # points of the grid on which a perturbation is drawn; between them it is smooth, or the cloth would be torn
)
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_VIEW = mjcf.View(0.0, 6.0, 1.45, (0.40, 0.46, 0.54), (0.28, 0.33, 0.42), height=0.76)
_POSTS = ((-0.25, 0.22), (0.25, 0.22))  # x and half height


class ClothEnv(ChaosEnv):
    """A red and white cloth held at two points of its upper edge; the action is where the hand is to go."""

    measured, shape = "points", (COUNT * COUNT, 3)
    spread = 0.14  # metres, of the points about their mean places
    agent = patient = None  # for the camera: there is neither red agent nor yellow patient

    @cached_property
    def model(self) -> mujoco.MjModel:
        """MuJoCo's model, made when first needed."""
        cloth = mjcf.Cloth(
            (HOME[0], HOME[1], HOME[2] - SPACING * (COUNT - 1) / 2),
            COUNT,
            SPACING,
            euler=(90.0, 0.0, 0.0),
            held=tuple(COUNT * column + COUNT - 1 for column in _HELD),
            hand=tuple(HOME),
            second=(0.96, 0.93, 0.86),
        )
        posts = [
            mjcf.Body("fixed", "cylinder", (0.035, half), (x, 0.0, half), rgb=(0.13, 0.38, 0.80)) for x, half in _POSTS
        ]
        model = mujoco.MjModel.from_xml_string(mjcf.write([cloth, *posts], _VIEW))
        model.vis.quality.shadowsize = 0
        walls = model.geom_type == mujoco.mjtGeom.mjGEOM_BOX  # of the tray: a cloth would be caught in them
        model.geom_contype[walls] = model.geom_conaffinity[walls] = 0
        points = model.body_dofadr[model.flex_vertbodyid]
        model.dof_damping[(points[:, None] + np.arange(3)).ravel()] = _AIR * cloth.mass / COUNT**2
        return model

    @cached_property
    def data(self) -> mujoco.MjData:
        """MuJoCo's data."""
        return mujoco.MjData(self.model)

    @cached_property
    def camera(self) -> Camera:
        """Draws it, made when first needed."""
        return Camera(self)

    def begin(self, rng: np.random.Generator) -> None:
        """Hang the cloth up anywhere the hand can go, already swinging."""
        mujoco.mj_resetData(self.model, self.data)
        self.hand_speed = np.zeros(3)
        offset = REACH * rng.uniform(-1.0, 1.0, 3)
        self.data.mocap_pos[0] = HOME + offset
        self.data.qpos.reshape(-1, 3)[:] = offset
        self.data.qvel.reshape(-1, 3)[:] = _SPEED * _smooth(rng)
        mujoco.mj_forward(self.model, self.data)

    def advance(self, action: np.ndarray) -> None:
        """Go 20 ms; the hand makes for HOME + REACH * action."""
        wanted = HOME + REACH * np.array([action[0], 0.0, action[1]])
        hand, step = self.data.mocap_pos[0], mjcf.TIMESTEP
        for _ in range(SUBSTEPS):
            self.hand_speed += step * (_QUICK**2 * (wanted - hand) - 2.0 * _QUICK * self.hand_speed)
            hand += step * self.hand_speed
            mujoco.mj_step(self.model, self.data)
        self._place()

    def draw(self, size_px: int) -> np.ndarray:
        """Draw cloth, hand and posts."""
        return self.camera.frame(size_px)

    def record(self) -> dict[str, np.ndarray]:
        """Points `[81, 3]` and hand `[3]`, metres."""
        return {"points": self.data.flexvert_xpos.astype(np.float32), "hand": self.data.mocap_pos[0].astype(np.float32)}

    def get_state(self) -> dict[str, Any]:
        """Return MuJoCo's state, the hand's speed and the number of the frame."""
        physics = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, self.data, physics, _STATE)
        return {"physics": physics, "hand_speed": self.hand_speed.copy(), "frame": self.frame}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        mujoco.mj_setState(self.model, self.data, state["physics"], _STATE)
        self._place()
        self.hand_speed, self.frame = state["hand_speed"].copy(), state["frame"]

    def perturb(self, rng: np.random.Generator, share: float) -> None:
        """Move the points by smooth noise of `share` of their spread, their velocities by `share` of a usual one."""
        self.data.qpos.reshape(-1, 3)[:] += share * self.spread * _smooth(rng)
        self.data.qvel.reshape(-1, 3)[:] += share * _SPEED * _smooth(rng)
        self._place()

    def _place(self) -> None:
        """Say where everything is now; a step ends with the places before it.

        Forward dynamics would spoil the solver's warm start.
        """
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_flex(self.model, self.data)

    def close(self) -> None:
        """Free the drawing."""
        if "camera" in self.__dict__:
            self.__dict__.pop("camera").close()


def _smooth(rng: np.random.Generator) -> np.ndarray:
    """Smooth noise for every point: `[81, 3]`."""
    return smooth_noise(rng, _COARSE, (COUNT, COUNT), 3).reshape(-1, 3)
