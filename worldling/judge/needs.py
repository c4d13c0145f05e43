"""What suites need of a world and of the data, and the checks that say so before anything is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worldling.config import to_dict
from worldling.data.card_environment import check_card_environment
from worldling.data.dataset import DatasetMeta
from worldling.data.fit import picture_of
from worldling.data.formats.physion import read_stimuli
from worldling.data.store import read_meta
from worldling.errors import EnvError, JudgeError
from worldling.protocol import WorldModel
from worldling.types import ActionSpace


@dataclass(frozen=True)
class Given:
    """What there is to judge with: the world, and the paths of a data set and of Physion's stimuli, if any."""

    world: WorldModel
    data: str | Path | None
    physion: str | Path


@dataclass(frozen=True)
class Need:
    """One kind of need.

    fits: says whether it is met, so that "all" leaves out suites that cannot run; check(given, suite): raises
    `JudgeError` that says what is missing.
    """

    fits: Callable[[Given], bool]
    check: Callable[[Given, str], None]


def check_fits(world: WorldModel, meta: DatasetMeta, path: object) -> None:
    """Raise `JudgeError` unless the data were recorded from what the world was trained on."""
    if world.size_px != meta.size_px:
        raise JudgeError(
            f"`data` must hold {world.size_px} px frames for this world, got {meta.size_px} px in {path}. "
            f"Record with --size-px {world.size_px}."
        )
    ours, theirs = world.action_space, meta.action_space
    if not ours.same_actions(theirs):
        raise JudgeError(
            f"`data` must hold the world's actions ({_describe(ours)}), got {_describe(theirs)} in {path}. "
            "Choose data recorded from the same environment."
        )
    source = world.card.get("source", {})
    for key, flag in (("env_id", "from"), ("frame_skip", "with --frame-skip"), ("env_kwargs", "with env_kwargs")):
        if key in source and source[key] != getattr(meta, key):
            raise JudgeError(
                f"`data` must be recorded {flag} {source[key]} like the world's training data, got "
                f"{getattr(meta, key)} in {path}. Choose other data or another world."
            )
    _check_picture(world, meta, path)


def _check_picture(world: WorldModel, meta: DatasetMeta, path: object) -> None:
    source = world.card.get("source", {})
    if "fit" not in source:
        return
    ours, theirs = picture_of(source, world.size_px), picture_of(to_dict(meta), meta.size_px)
    if ours != theirs:
        size = "x".join(map(str, source.get("box_px") or (world.size_px,)))
        raise JudgeError(
            f"`data` must hold pictures where the world's training data had them, {ours.width}x{ours.height} of a true "
            f"{ours.aspect:g} to 1, got {theirs.width}x{theirs.height} of {theirs.aspect:g} to 1 in {path}. Record "
            f"with --size-px {size} --fit {source['fit']}."
        )


def has_clips(world: WorldModel) -> bool:
    """Say whether the world comes with clips of its own to start from."""
    return bool(world.contexts)


def check_clips(world: WorldModel) -> None:
    """Raise `JudgeError` unless the world comes with clips of its own to start from."""
    if not has_clips(world):
        raise JudgeError("`data` must be given for a world without clips of its own, got none. Add --data FOLDER.")


def is_physics(world: WorldModel) -> bool:
    """Say whether the world was trained on the eight physics scenes."""
    from worldling.scenes import PHYSICS_IDS

    return env_id_of(world) in PHYSICS_IDS


def is_chaos(world: WorldModel) -> bool:
    """Say whether the world was trained on one of the chaotic environments."""
    from worldling.scenes import CHAOS_IDS

    return env_id_of(world) in CHAOS_IDS


def check_physics(world: WorldModel, suite: str) -> None:
    """Raise `JudgeError` unless the world was trained on the physics scenes, or one of them, at their frame rate."""
    if not is_physics(world):
        raise _other_world(world, suite, "the physics scenes", "worldling/Physics-v0")
    _check_frames(world)


def check_chaos(world: WorldModel, suite: str) -> None:
    """Raise `JudgeError` unless the world was trained on one of the chaotic environments."""
    if not is_chaos(world):
        raise _other_world(world, suite, "a chaotic environment", "worldling/Cloth-v0, Lorenz-v0 or Smoke-v0")
    _check_frames(world)


def _check_frames(world: WorldModel) -> None:
    frame_skip = world.card["source"].get("frame_skip", 1)
    if frame_skip != 1:
        raise JudgeError(
            f"`world` must be of {env_id_of(world)} frame by frame, got one recorded with --frame-skip {frame_skip}. "
            "Train one on a recording without."
        )


def env_id_of(world: WorldModel) -> str:
    """Name the environment the world was trained on, as its card does."""
    return str(world.card.get("source", {}).get("env_id", "an unknown environment"))


def _other_world(world: WorldModel, suite: str, wanted: str, env_id: str) -> JudgeError:
    return JudgeError(
        f"`suite` {suite} must be given a world of {wanted}, got one of {env_id_of(world)}. "
        f"Train one on a recording of {env_id}, or choose fidelity or stability."
    )


def check_stimuli(world: WorldModel, path: str | Path | None) -> None:
    """Raise `JudgeError` unless `path` holds stimuli of Physion of the size of the world's frames."""
    if not path:
        raise JudgeError(
            "`physion` must be given for the suite physion, got none. Import Physion's files with "
            "`worldling import FOLDER --out OUT --format physion` and add --physion OUT."
        )
    meta = read_meta(path)
    read_stimuli(path)
    if meta.size_px != world.size_px:
        raise JudgeError(
            f"`physion` must hold {world.size_px} px frames for this world, got {meta.size_px} px in {path}. "
            f"Import them again with --size-px {world.size_px}."
        )


def is_held_out(world: WorldModel, meta: DatasetMeta) -> bool | None:
    """Say whether the world was trained on other data than these; None if its card does not tell.

    The seed decides, whatever the policy: the same seed makes the same scenes.
    """
    source = world.card.get("source", {})
    return source["seed"] != meta.seed if "seed" in source else None


def _describe(space: ActionSpace) -> str:
    if space.kind == "box":
        return f"box of {len(space.low)} between {list(space.low)} and {list(space.high)}"
    return f"{space.kind} {list(space.nvec)}" if space.nvec else space.kind


def _check_data(given: Given, suite: str) -> None:
    if given.data is None:
        raise JudgeError(
            f"`data` must be given for the suite {suite}, got none. Record held-out frames and add --data FOLDER."
        )


def _check_clips(given: Given, suite: str) -> None:
    if given.data is None:
        check_clips(given.world)


def is_known_environment(world: WorldModel) -> bool:
    """Say whether the world's card names an environment that is opened on its word."""
    try:
        check_card_environment(world.card.get("source", {}))
    except EnvError:
        return False
    return True


def _can_start(given: Given) -> bool:
    actions = given.world.action_space.kind != "none"
    return actions and (is_known_environment(given.world) or NEEDS["clips"].fits(given))


def _check_start(given: Given, suite: str) -> None:
    if given.world.action_space.kind == "none":
        raise JudgeError(f"`suite` {suite} must be given a world with actions, got one without. Choose another suite.")
    if not is_known_environment(given.world):
        _check_clips(given, suite)


#: Needs by name: held-out data; data or clips of the world's own; these or an environment that we know, and actions; a
#: world of the physics scenes, or of a chaotic environment; Physion's stimuli.
NEEDS: dict[str, Need] = {
    "data": Need(lambda given: given.data is not None, _check_data),
    "clips": Need(lambda given: given.data is not None or has_clips(given.world), _check_clips),
    "start": Need(_can_start, _check_start),
    "physics": Need(lambda given: is_physics(given.world), lambda given, suite: check_physics(given.world, suite)),
    "chaos": Need(lambda given: is_chaos(given.world), lambda given, suite: check_chaos(given.world, suite)),
    "stimuli": Need(lambda given: bool(given.physion), lambda given, suite: check_stimuli(given.world, given.physion)),
}
