"""Drawing a trial: frames, and which thing each pixel shows. One OpenGL context serves every trial of a process."""

from __future__ import annotations

import atexit
import importlib
import os
from functools import cache
from typing import Any, Protocol

import mujoco
import numpy as np
from jaxtyping import Float, UInt8

from worldling.errors import EnvError

SUPERSAMPLE = 2  # drawn at twice the size and averaged, so that moves of less than a pixel show
_LARGEST_PX = 1024
#: What a pixel of `masks` can show; things that are neither agent nor patient count up from OTHER.
NOTHING, AGENT, PATIENT, OTHER = 0, 1, 2, 3


@cache
def _context() -> Any:
    named = os.environ.get("MUJOCO_GL", "")
    try:
        # Asked for by its name: mujoco itself looks at MUJOCO_GL only once, and may have been imported before it
        # was set.
        library = importlib.import_module(f"mujoco.{named}" if named in ("egl", "osmesa") else "mujoco.gl_context")
        context = library.GLContext(_LARGEST_PX, _LARGEST_PX)
        context.make_current()
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        raise EnvError(
            f"`MUJOCO_GL` must name a way to draw on this machine, got {named!r} ({error}). "
            "On Linux install libegl1 (or libosmesa6 and set MUJOCO_GL=osmesa)."
        ) from None
    atexit.register(context.free)  # before the interpreter takes the library away from under it
    return context


class Drawable(Protocol):
    """What a camera draws."""

    @property
    def model(self) -> Any:
        """MuJoCo's model."""

    @property
    def data(self) -> Any:
        """MuJoCo's data."""

    @property
    def agent(self) -> int | None:
        """Body number of red, None where it is no body."""

    @property
    def patient(self) -> int | None:
        """Body number of yellow, None where it is no body."""


class Camera:
    """Draws one trial, or another thing of MuJoCo's. Close it when that is over."""

    def __init__(self, trial: Drawable) -> None:
        _context().make_current()
        self.trial = trial
        model = trial.model
        self._drawer = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._drawer)
        self._scene = mujoco.MjvScene(model, 200)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 1
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._options, self._eye = mujoco.MjvOption(), mujoco.MjvCamera()
        self._options.flags[mujoco.mjtVisFlag.mjVIS_FLEXSKIN] = 1
        self._eye.type, self._eye.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, 0
        self._things = self._thing_of_geom()

    def frame(self, size_px: int = 64) -> UInt8[np.ndarray, "{size_px} {size_px} 3"]:
        """Draw the trial now: uint8 `[size_px, size_px, 3]`."""
        scale = SUPERSAMPLE if size_px * SUPERSAMPLE <= _LARGEST_PX else 1
        side = size_px * scale
        picture = self._draw(side, segments=False)
        if scale == 1:
            return np.ascontiguousarray(picture[::-1])
        small = picture.reshape(size_px, scale, size_px, scale, 3).sum(axis=(1, 3), dtype=np.uint16)
        return np.ascontiguousarray(((small + scale * scale // 2) // (scale * scale)).astype(np.uint8)[::-1])

    def masks(self, size_px: int = 64) -> UInt8[np.ndarray, "{size_px} {size_px}"]:
        """Say which thing each pixel shows: uint8 `[size_px, size_px]`, NOTHING, AGENT, PATIENT, OTHER + k."""
        picture = self._draw(size_px, segments=True)[::-1].astype(np.int32)
        segment = picture[..., 0] + (picture[..., 1] << 8) + (picture[..., 2] << 16)
        table = np.zeros(self._scene.ngeom + 2, np.uint8)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid < 0:
                continue
            if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                table[geom.segid + 1] = self._things[geom.objid]
            elif geom.objtype == mujoco.mjtObj.mjOBJ_FLEX:
                table[geom.segid + 1] = AGENT
        return np.asarray(table[segment])

    def to_plane(self, origin: np.ndarray, along: np.ndarray, up: np.ndarray) -> Float[np.ndarray, "3 3"]:
        """Return the matrix that finds places of the picture on a plane (a homography).

        It turns (x, y, 1) in shares of the picture, from its left and upper edge, into (a w, b w, w), where
        `origin + a along + b up` is the place, all `[3]`, in metres.
        """
        data, half = self.trial.data, np.tan(np.radians(self.trial.model.cam_fovy[0]) / 2)
        turn = data.cam_xmat[0].reshape(3, 3).T  # to the camera's own axes: right, up, backward
        to_camera = turn @ np.stack([along, up, origin - data.cam_xpos[0]], 1)
        to_picture = np.array([[0.5 / half, 0, -0.5], [0, -0.5 / half, -0.5], [0, 0, -1]]) @ to_camera
        return np.linalg.inv(to_picture)

    def close(self) -> None:
        """Free what the drawing holds."""
        _context().make_current()
        self._drawer.free()

    def _draw(self, side: int, segments: bool) -> np.ndarray:
        _context().make_current()
        scene = self._scene
        for flag in (mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR):
            scene.flags[flag] = int(segments)
        mujoco.mjv_updateScene(
            self.trial.model, self.trial.data, self._options, None, self._eye, mujoco.mjtCatBit.mjCAT_ALL.value, scene
        )
        window, picture = mujoco.MjrRect(0, 0, side, side), np.empty((side, side, 3), np.uint8)
        mujoco.mjr_render(window, scene, self._drawer)
        mujoco.mjr_readPixels(picture, None, window, self._drawer)
        return picture

    def _thing_of_geom(self) -> np.ndarray:
        """Number of the thing that each geom belongs to: of the world, nothing."""
        trial, things, following = self.trial, {}, OTHER
        for body in trial.model.geom_bodyid:
            if body == 0:
                continue
            if body not in things:
                if body == trial.agent:
                    things[body] = AGENT
                elif body == trial.patient:
                    things[body] = PATIENT
                else:
                    things[body], following = following, following + 1
        return np.array([things.get(body, NOTHING) for body in trial.model.geom_bodyid], np.uint8)
