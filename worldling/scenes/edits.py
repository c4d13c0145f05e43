"""Edits of a running trial that physics does not allow, and pairs of clips that differ by one edit alone.

    pair = draw_pair("collide", "vanish", seed=[0, 1])     # pair.possible, pair.impossible: uint8 [FRAMES, H, W, 3]

vanish         the thing is no longer drawn and touches nothing any more
teleport       its place jumps by 0.3 to 0.6 m along the floor, to where there is room; its velocity is kept
pass_through   red and yellow go through each other from the frame of their first contact on
colour_swap    red and yellow trade colours
anti_gravity   the thing falls upward

The edit is made in the engine, after frame `BEFORE - 1` of the clip: until there both clips are the same frames, and
frame `BEFORE` is the first that can differ. From there on both are simulated from the same state, so that nothing but
the edit makes the difference. An edit counts only if it is seen: in one of the first `SOON` frames at least `SEEN` of
the picture's pixels differ by more than `TELLING` in some colour; and where things pass through each other, they are at
least `DEEP` metres (a pixel) inside each other by then. Else another trial is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from worldling.scenes.camera import Camera
from worldling.scenes.labels import FRAMES as LONGEST
from worldling.scenes.labels import NOISE, first_contact
from worldling.scenes.mjcf import TRAY_X, TRAY_Y
from worldling.scenes.trial import OVERLAP, Trial, TrialSeed

EDITS = ("vanish", "teleport", "pass_through", "colour_swap", "anti_gravity")
BEFORE, AFTER = 4, 10
FRAMES = BEFORE + AFTER
LATEST = 12  # frame of the trial in which an edit comes at the latest; contacts come when they come
SOON, SEEN, TELLING, DEEP = 4, 12 / 64**2, 40, 0.03
_HIDDEN = 5  # a group of geoms that cameras do not draw
_APART = 2  # a collision bit that nothing answers to
_MARGIN = 0.2  # metres from the rim that a teleported thing keeps
_TRIES = 20


@dataclass(frozen=True)
class Edit:
    """An impossible event.

    kind: one of EDITS; thing: "agent", "patient" or "both"; frame: of the trial, the first that can show it;
    offset: of a teleport, metres.
    """

    kind: str
    thing: str
    frame: int
    offset: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Pair:
    """A trial as it is and with one edit: clips uint8 `[FRAMES, H, W, 3]`, equal in the first BEFORE frames."""

    trial: TrialSeed
    edit: Edit
    possible: np.ndarray
    impossible: np.ndarray


def draw_pair(scenario: str, kind: str, seed: Sequence[int], size_px: int = 64) -> Pair:
    """Draw trials from `seed` until an edit of that kind is seen, and return the pair; the same seed, the same pair."""
    stream = np.random.default_rng(list(seed))
    while True:
        pair = _draw(scenario, kind, stream, size_px)
        if pair is not None and seen(pair.possible, pair.impossible):
            return pair


def seen(possible: np.ndarray, impossible: np.ndarray) -> bool:
    """Say whether two clips `[FRAMES, H, W, 3]` differ soon after frame BEFORE as much as the module asks."""
    apart = np.abs(possible.astype(np.int16) - impossible)[BEFORE : BEFORE + SOON].max(axis=-1)
    return bool(((apart > TELLING).mean(axis=(1, 2)) >= SEEN).any())


def simulate(pair: Pair, generator: np.random.Generator | None = None) -> np.ndarray:
    """Simulate the pair's trial again from its seed, without the edit: uint8 `[FRAMES, H, W, 3]`.

    generator: multiply all velocities by 1 + noise of 1e-3 at the last frame before the edit.
    """
    trial = Trial(pair.trial)
    camera = Camera(trial)
    try:
        frames = _until(trial, camera, pair.edit.frame, pair.possible.shape[1])
        trial.set_state(trial.get_state())
        if generator is not None:
            trial.perturb(generator, NOISE)
        return np.stack(frames + _onward(trial, camera, pair.possible.shape[1]))
    finally:
        camera.close()


def apply(trial: Trial, edit: Edit) -> None:
    """Make the edit now, in the trial's model and data. A trial that was edited cannot be put back."""
    names = ("agent", "patient") if edit.thing == "both" else (edit.thing,)
    things = [_Thing(trial, name) for name in names]
    model, data = trial.model, trial.data
    if edit.kind == "vanish":
        for thing in things:
            thing.set("group", _HIDDEN)
            thing.set("contype", 0)
            thing.set("conaffinity", 0)
    elif edit.kind == "teleport":
        for thing in things:
            for axis, metres in enumerate(edit.offset):
                data.qpos[thing.places + axis] += metres
    elif edit.kind == "pass_through":
        for thing in things:
            thing.set("contype", _APART)  # others still answer to it, red and yellow do not answer to each other
    elif edit.kind == "colour_swap":
        red, yellow = (thing.get("rgba") for thing in things)
        things[0].set("rgba", yellow)
        things[1].set("rgba", red)
    else:
        for thing in things:
            data.qfrc_applied[thing.speeds + 2] = -2.0 * model.opt.gravity[2] * model.body_mass[thing.bodies]


def overlap(trial: Trial) -> float:
    """Measure how far red and yellow are inside each other while they pass through: metres, 0 if they are apart."""
    things = [_Thing(trial, name) for name in ("agent", "patient")]
    kept = [thing.get("contype") for thing in things]
    for thing in things:
        thing.set("contype", 1)
    mujoco.mj_collision(trial.model, trial.data)  # the next step does it again, without what lies between them
    for thing, bits in zip(things, kept, strict=True):
        thing.set("contype", bits)
    return float(-trial.gaps().min(initial=0.0))


class _Thing:
    """Where MuJoCo keeps red or yellow: bodies, first numbers in qpos and qvel, and what is drawn and collides."""

    def __init__(self, trial: Trial, name: str) -> None:
        model = self.model = trial.model
        self.flex = trial.cloth and name == "agent"
        body = trial.agent if name == "agent" else trial.patient
        self.bodies = model.flex_vertbodyid if self.flex else np.array([body])
        self.places = model.jnt_qposadr[model.body_jntadr[self.bodies]]
        self.speeds = model.body_dofadr[self.bodies]
        #: Numbers of its geoms, or of all cloths: there is one.
        self.rows = np.arange(model.nflex) if self.flex else np.flatnonzero(model.geom_bodyid == body)

    def _column(self, name: str) -> np.ndarray:
        column: np.ndarray = getattr(self.model, f"{'flex' if self.flex else 'geom'}_{name}")
        return column

    def get(self, name: str) -> np.ndarray:
        """A copy of a property of its first geom, or of its cloth."""
        return np.array(self._column(name)[self.rows][0])

    def set(self, name: str, value: np.ndarray | int) -> None:
        """Give a property to all its geoms, or to its cloth."""
        self._column(name)[self.rows] = value


def _draw(scenario: str, kind: str, stream: np.random.Generator, size_px: int) -> Pair | None:
    """Draw one trial and one edit of it; None if they do not go together."""
    geometry, motion = (int(n) for n in stream.integers(2**62, size=2))
    trial = Trial(TrialSeed(scenario, geometry, motion))
    thing = ("agent", "patient")[int(stream.integers(2))] if kind in ("vanish", "teleport", "anti_gravity") else "both"
    frame = int(stream.integers(BEFORE, LATEST + 1))
    if kind == "pass_through":
        met = first_contact(trial)
        if met is None or not BEFORE <= met <= LONGEST - AFTER:
            return None
        frame = met
        trial.start(motion)
    camera = Camera(trial)
    try:
        shared = _until(trial, camera, frame, size_px)
        now = trial.get_state()
        offset = _room(trial, thing, stream) if kind == "teleport" else (0.0, 0.0)
        if offset is None:
            return None
        trial.set_state(now)
        possible = _onward(trial, camera, size_px)
        trial.set_state(now)
        edit = Edit(kind, thing, frame, offset)
        apply(trial, edit)
        depth: list[float] | None = [] if kind == "pass_through" else None
        impossible = _onward(trial, camera, size_px, depth)
        if depth is not None and max(depth[:SOON]) < DEEP:
            return None
        return Pair(trial.seed, edit, np.stack(shared + possible), np.stack(shared + impossible))
    finally:
        camera.close()


def _until(trial: Trial, camera: Camera, frame: int, size_px: int) -> list[np.ndarray]:
    """Run a started trial to the frame before `frame` and draw the last BEFORE frames."""
    frames = []
    while True:
        if trial.frame >= frame - BEFORE:
            frames.append(camera.frame(size_px))
        if trial.frame == frame - 1:
            return frames
        trial.advance()


def _onward(trial: Trial, camera: Camera, size_px: int, depth: list[float] | None = None) -> list[np.ndarray]:
    """Run on for AFTER frames and draw them; depth: is told in each how far red and yellow are inside each other."""
    frames = []
    for _ in range(AFTER):
        trial.advance()
        frames.append(camera.frame(size_px))
        if depth is not None:
            depth.append(overlap(trial))
    return frames


def _room(trial: Trial, name: str, stream: np.random.Generator) -> tuple[float, float] | None:
    """Draw a jump to where the thing touches nothing deeply, or None if none of a few is; moves the trial about."""
    now, thing = trial.get_state(), _Thing(trial, name)
    place = trial.agent_place() if name == "agent" else trial.patient_place()
    for _ in range(_TRIES):
        far, angle = stream.uniform(0.3, 0.6), stream.uniform(0, 2 * np.pi)
        offset = (float(far * np.cos(angle)), float(far * np.sin(angle)))
        if abs(place[0] + offset[0]) > TRAY_X - _MARGIN or abs(place[1] + offset[1]) > TRAY_Y - _MARGIN:
            continue
        trial.set_state(now)
        apply(trial, Edit("teleport", name, trial.frame, offset))
        mujoco.mj_forward(trial.model, trial.data)
        contact = trial.data.contact
        mine = (contact.flex >= 0) if thing.flex else np.isin(contact.geom, thing.rows)
        if not (mine.any(axis=1) & (contact.dist < -OVERLAP)).any():
            return offset
    return None
