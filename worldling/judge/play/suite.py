"""The play suite: scripted players drive the dream from many starts, beside the real environment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldling.alarm import reconstruct
from worldling.data.environment import Environment
from worldling.data.hands import check_hands, play_hand
from worldling.errors import ConfigError, EnvError, JudgeError
from worldling.judge.case import Case
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.play.checks import Check, Seen, alive, difference, looks_real, moves_as_real, no_drift
from worldling.judge.play.first_person import TurningBack, view_right, walls_solid
from worldling.judge.play.result import CheckResult, FilmOfPlay, PlayResult
from worldling.judge.play.things import Things, reads_reality, things_of
from worldling.judge.play.watch import Watched, Watching, watch_real
from worldling.judge.results import Elapsed
from worldling.judge.truth.driven import Driven, Hand, drive_all, drive_others, of_interest, open_card_environment
from worldling.progress import Progress
from worldling.report.values import Interval
from worldling.types import ActionSpace

#: Films show at most about so many frames a second.
FILM_FPS = 10.0
#: Seconds after which the answer to another hand is looked at.
ANSWER_S = 1.0
#: Seconds before each moment in which the motion of things is followed.
TRACK_S = 1.0


@dataclass(frozen=True)
class Plan:
    """When is looked, in frames ahead.

    fps: frames a second; seconds: as asked; moments `[k]`: the same in frames; answer: frames of `ANSWER_S`; stride:
    frames from one picture of a film to the next.
    """

    fps: float
    seconds: tuple[float, ...]
    moments: tuple[int, ...]
    answer: int
    stride: int

    @property
    def track(self) -> int:
        """Steps before each moment in which things are followed."""
        return min(max(1, round(TRACK_S * self.fps)), self.moments[0])

    @property
    def watched(self) -> list[int]:
        """Frames ahead that are watched: the first, and those of `TRACK_S` up to each moment."""
        return sorted({0, *(m - back for m in self.moments for back in range(self.track + 1))})

    @property
    def last(self) -> int:
        """Frames ahead that are dreamed."""
        return self.moments[-1]

    @property
    def film(self) -> list[int]:
        """Frames ahead that films show."""
        return list(range(0, self.last + 1, self.stride))

    @classmethod
    def of(cls, seconds: Sequence[float], fps: float) -> Plan:
        """Plan for a frame rate. Raises `JudgeError` if two moments are one frame."""
        moments = tuple(round(s * fps) for s in seconds)
        if moments[0] < 1 or len(set(moments)) < len(moments):
            raise JudgeError(
                f"`seconds` must be different frames at {fps:g} frames a second, got {list(seconds)}. Take fewer."
            )
        return cls(fps, tuple(seconds), moments, max(1, round(ANSWER_S * fps)), max(1, round(fps / FILM_FPS)))


@dataclass(frozen=True)
class Dreamed:
    """What was dreamed of n players.

    frames uint8 `[n, k, H, W, 3]`: at the moments; responses `[n, k + 1]`: see `checks.alive`, from the start and each
    moment on; tracks `[n, k, L, F]`: see `Things.track`, of the frames of `TRACK_S` up to each moment; watched: what
    was watched of these frames; films uint8 `[hands, T, H, W, 3]`: of the first player of each kind of hand.
    """

    frames: np.ndarray
    responses: np.ndarray
    tracks: np.ndarray
    watched: Watched
    films: np.ndarray


def run(case: Case) -> PlayResult:
    """Let `settings.players` players drive the world for the last of `settings.seconds`, all in one batch.

    Cost: that many steps, a second more for each moment looked at, and the same in the real environment.
    """
    begun, settings = time.monotonic(), case.settings
    env, beside = _open(case)
    try:
        space, fps = (case.world.action_space, case.fps) if env is None else (env.action_space, env.fps)
        kinds, plan = _kinds(space, settings.hands), Plan.of(settings.seconds, fps)
        turning_back, person_checks = TurningBack.of(case.world, fps), {}
        hands = [Hand(kinds[i % len(kinds)], (settings.seed, 31, i)) for i in range(settings.players)]
        others = [Hand(hand.kind, (settings.seed, 32, i)) for i, hand in enumerate(hands)]
        filmed = list(range(min(len(kinds), len(hands))))
        answers, reality = None, _Reality(case, plan, filmed)
        if env is None:
            driven, starts = _unaccompanied(case, plan, hands)
        else:
            looked = [sorted({*_looked(plan, i in filmed), *plan.watched}) for i in range(len(hands))]
            driven = drive_all(env, hands, looked, plan.last + plan.answer, case.context, case.quiet, reality.take)
            answers = drive_others(env, hands, others, plan.answer, case.context, case.quiet)
            starts = f"fresh episodes of {case.env_id}"
            if turning_back is not None:
                turning_back.drive(env, hands, case.context, case.quiet)
                walk = (plan.moments, plan.track, case.context, settings.seed, case.quiet)
                person_checks = walls_solid(case.world, env, hands, *walk)
    finally:
        if env is not None:
            env.close()
    there = answers is not None
    given, past = (np.stack([getattr(d, name) for d in driven]) for name in ("given", "past"))
    actions = np.stack([d.actions for d in driven])
    things = things_of(case.env_id, np.concatenate([given[:, -1], *(d.frames for d in driven)]))
    dream = _dream(
        case, plan, given, past, actions, _other_actions(space, plan, others, driven), filmed, things, turning_back
    )
    seen = _seen(plan, driven, dream.frames, there, reads_reality(case.env_id))
    checks = {} if things is None else things.check(seen, dream.tracks)
    if turning_back is not None:
        checks |= view_right(case.world, seen) | person_checks
    checks |= looks_real(case.world, seen)
    kind_of = np.array([hand.kind for hand in hands])
    real_answers = None
    if answers is not None:
        checks |= moves_as_real(dream.watched, reality.watched, seen.reached, kind_of)
        checks |= no_drift(dream.watched, reality.watched, seen.reached)
        own = np.stack([d.frames[d.looked.index(plan.answer)] for d in driven])
        real_answers = difference(own, answers)
    answered = alive(dream.responses, real_answers)
    if turning_back is not None:
        answered |= turning_back.checks()
    boot = Bootstrap(np.arange(len(hands)), np.zeros(len(hands)), settings.seed, settings.resamples)
    return PlayResult(
        n=len(hands),
        seed=settings.seed,
        fps=plan.fps,
        hands={kind: int((kind_of == kind).sum()) for kind in kinds},
        starts=starts,
        beside=beside,
        intervals=boot.about("players"),
        checks={
            **{name: _summed(check, plan.seconds, boot, kind_of) for name, check in checks.items()},
            **{name: _summed(check, (0.0, *plan.seconds), boot, kind_of) for name, check in answered.items()},
        },
        films=[_film(case, plan, row, kinds[row], driven[row], dream.films[row], there) for row in filmed],
        timing=Elapsed(time.monotonic() - begun),
    )


class _Reality:
    """Takes in what the real players were driven through, and keeps of most frames their features alone."""

    def __init__(self, case: Case, plan: Plan, filmed: list[int]) -> None:
        self.case, self.plan, self.filmed = case, plan, filmed
        self.features: list[np.ndarray] = []
        self.changes: list[np.ndarray] = []

    def take(self, driven: Driven) -> Driven:
        """Watch one episode, and return it with the frames that are needed later."""
        row, plan = len(self.features), self.plan
        watch_real(self.case.world, driven, plan.watched, self.features, self.changes)
        kept = _looked(plan, row in self.filmed)
        return driven.only(sorted({*kept, *plan.watched}) if reads_reality(self.case.env_id) else kept)

    @property
    def watched(self) -> Watched:
        """What was watched of all players."""
        plan, (features, changes) = self.plan, (np.stack(kept) for kept in (self.features, self.changes))
        return Watched(np.array(plan.watched), np.array(plan.moments), plan.track, features, changes)


def _looked(plan: Plan, film: bool) -> list[int]:
    """Frames ahead that are looked at in reality."""
    return sorted({0, plan.answer, *plan.moments, *(plan.film if film else ())})


def _open(case: Case) -> tuple[Environment | None, str]:
    """Open the environment of the world's card; say what is beside the dream, or why nothing is."""
    try:
        return open_card_environment(case.world), f"{case.env_id} under the same actions"
    except EnvError as error:
        return None, f"nothing: {error}"


def _kinds(space: ActionSpace, names: Sequence[str]) -> tuple[str, ...]:
    try:
        kinds = check_hands(space, names)
    except ConfigError as error:
        raise JudgeError(str(error)) from None
    if not kinds:
        raise JudgeError("`suite` play must be given a world with actions, got one of videos without. Choose another.")
    return kinds


def _unaccompanied(case: Case, plan: Plan, hands: list[Hand]) -> tuple[list[Driven], str]:
    """Start from the data, or else the world's own clips, which are repeated where they are too few."""
    frames, past = case.start_clips(len(hands))
    times = np.arange(1, plan.last + plan.answer + 1) / plan.fps
    space, driven = case.world.action_space, []
    for i, hand in enumerate(hands):
        row = i % len(frames)
        begin = past[row, -1] if past.shape[1] else None
        actions = play_hand(space, hand.kind, list(hand.seed), times, begin)
        nothing = np.zeros((0, *frames.shape[2:]), np.uint8)
        driven.append(Driven((), frames[row], past[row], actions, nothing, {}, np.ones(0, bool)))
    return driven, "the data set" if case.data is not None else f"the world's own clips, {len(frames)} of them"


def _other_actions(space: ActionSpace, plan: Plan, others: list[Hand], driven: list[Driven]) -> np.ndarray:
    """Actions `[n, T, ...]` of other hands over the same time."""
    times, rows = np.arange(1, plan.last + plan.answer + 1) / plan.fps, []
    for other, one in zip(others, driven, strict=True):
        begin = one.past[-1] if len(one.past) else None
        near = of_interest({name: values[0] for name, values in one.state.items()})
        rows.append(play_hand(space, other.kind, list(other.seed), times, begin, near))
    return np.stack(rows)


def _dream(
    case: Case,
    plan: Plan,
    given: np.ndarray,
    past: np.ndarray,
    actions: np.ndarray,
    others: np.ndarray,
    filmed: list[int],
    things: Things | None,
    turning_back: TurningBack | None = None,
) -> Dreamed:
    """Roll all players out together; at each moment also a second under their other hands, and turning back."""
    world, n = case.world, len(given)
    state = world.start(given, past, seed=[case.settings.seed + row for row in range(n)])
    moments, kept, answers, tracked = (0, *plan.moments), {}, {}, {}
    due = {moment + plan.answer for moment in moments}
    watching = Watching(plan.watched, plan.moments, plan.track)
    films, watched = [given[filmed, -1]], set(plan.watched)
    with Progress("play", plan.last + plan.answer, "frames", case.quiet) as progress:
        for t in range(plan.last + plan.answer + 1):
            if t > 0:
                step = world.step(state, actions[:, t - 1], decode=False)
                if t <= plan.last and t % plan.stride == 0:
                    films.append(world.decode(step.latent[filmed]))
            if t in due or t in watched:
                frames = world.decode(step.latent) if t > 0 else reconstruct(world, given[:, -1])
                if t in due or t in moments:
                    kept[t] = frames
                if t in watched:
                    watching.see(t, frames)
                    if things is not None:
                        tracked[t] = things.track(frames if t > 0 else given[:, -1])
            if t in moments:
                if turning_back is not None:
                    turning_back.dream(world, state)
                forked = state.fork()
                for ahead in range(plan.answer):
                    step = world.step(forked, others[:, t + ahead], decode=False)
                answers[t] = world.decode(step.latent)
            progress.update(t)
    return Dreamed(
        frames=np.stack([kept[t] for t in plan.moments], axis=1),
        responses=np.stack([difference(kept[t + plan.answer], answers[t]) for t in moments], axis=1),
        tracks=_windows(plan, tracked) if tracked else np.zeros((n, len(plan.moments), 0, 0)),
        watched=watching.done(),
        films=np.stack(films, axis=1),
    )


def _windows(plan: Plan, tracked: dict[int, np.ndarray]) -> np.ndarray:
    """Lay tracks `[n, F]` by frame out by the moments that they lead to: `[n, k, L, F]`."""
    windows = [[tracked[t] for t in range(m - plan.track, m + 1)] for m in plan.moments]
    return np.stack([np.stack(window, axis=1) for window in windows], axis=1)


def _seen(plan: Plan, driven: list[Driven], dream: np.ndarray, there: bool, window: bool) -> Seen:
    """Put together what is looked at at the moments; window: with the real frames before them."""
    n, k = dream.shape[:2]
    moments = list(plan.moments)
    if not there:
        return Seen(moments, dream, None, {}, np.ones((n, k), bool))
    at = [d.rows(moments) for d in driven]
    real, reached = (
        np.stack([getattr(d, name)[rows] for d, rows in zip(driven, at, strict=True)]) for name in ("frames", "reached")
    )
    length = min(len(next(iter(d.state.values()), ())) for d in driven)
    state = {name: np.stack([d.state[name][:length] for d in driven]) for name in driven[0].state}
    if not window:
        return Seen(moments, dream, real, state, reached)
    before = [[m - back for back in range(plan.track, -1, -1)] for m in moments]
    films = np.stack([np.stack([d.frames[d.rows(steps)] for steps in before]) for d in driven])
    return Seen(moments, dream, real, state, reached, films)


def _summed(check: Check, seconds: Sequence[float], boot: Bootstrap, kind_of: np.ndarray) -> CheckResult:
    def row(values: np.ndarray) -> dict[float, Interval]:
        return {s: boot.share(values[:, i]) for i, s in enumerate(seconds)}

    return CheckResult(
        check.label,
        check.definition,
        dream=row(check.dream),
        real=None if check.real is None else row(check.real),
        by_hand={
            kind: row(np.where((kind_of == kind)[:, None], check.dream, np.nan)) for kind in dict.fromkeys(kind_of)
        },
    )


def _film(case: Case, plan: Plan, row: int, kind: str, driven: Driven, dreamed: np.ndarray, there: bool) -> FilmOfPlay:
    """Lay reality left of the dream."""
    cut = case.picture.cut
    frames = cut(dreamed)
    if there:
        real = cut(driven.frames[driven.rows(plan.film)])
        gap = np.full((*frames.shape[:2], 2, 3), 255, np.uint8)
        frames = np.concatenate([real, gap, frames], axis=2)
    return FilmOfPlay(f"{kind}, player {row + 1}", frames, plan.fps / plan.stride)
