"""The fidelity suite: roll-outs from held-out starts under the recorded actions, compared with the recording."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field

import numpy as np

from worldling.data.fit import Picture
from worldling.frame_error import PSNR_LIMIT_DB, psnr
from worldling.judge.case import Case, Starts
from worldling.judge.measures.bootstrap import Bootstrap, BootstrapMethod
from worldling.judge.measures.ssim import ssim
from worldling.judge.readers.reader import OwnError, Reader, Reading
from worldling.judge.readers.registry import reader_for
from worldling.judge.results import Elapsed, SuiteResult
from worldling.progress import Progress
from worldling.report.values import HIDDEN, SPREAD, Curve, Interval

#: What is compared with the recorded frames, and its name on the page.
CONDITIONS = {
    "world": "the world",
    "shuffled_actions": "the world, actions of another start",
    "copy_last": "last frame shown, repeated",
    "mean_frame": "mean frame",
    "reencoded": "true frame, encoded and decoded",
}
#: Figures by frames ahead.
ByHorizon = dict[int, Interval]
_EXAMPLES = 4
_BATCH_BYTES = 2**28


@dataclass(frozen=True)
class ScoreInterval(Interval):
    """A score of a reader. eligible: starts that could have been counted if the object had stayed visible."""

    eligible: int


@dataclass(frozen=True)
class ScoreTable:
    """One score of a reader.

    label: for people; unit: "share", "px", "%" or "degrees"; statistic: "share", "median" or "p90" over the starts; by:
    the figures, by condition and frames ahead.
    """

    label: str
    unit: str
    statistic: str
    by: dict[str, dict[int, ScoreInterval]] = field(metadata=SPREAD)


@dataclass(frozen=True)
class StateScores:
    """The state that a reader finds in the frames.

    reader, about: its name and how it works; headlines: keys of the most informative scores; own_error: its error
    on recorded frames, against the simulator's state; scores: by key.
    """

    reader: str
    about: str
    headlines: tuple[str, ...]
    own_error: list[OwnError]
    scores: dict[str, ScoreTable]


@dataclass(frozen=True)
class PsnrCurves:
    """PSNR in dB at every step. step: frames ahead; by: the curve of each condition."""

    step: list[int]
    by: dict[str, Curve] = field(metadata=SPREAD)


@dataclass(frozen=True, kw_only=True)
class FidelityResult(SuiteResult):
    """How close roll-outs are to the recorded frames.

    n, asked: starts used and asked for; episodes: that they lie in; context: frames shown before each; mean_frame:
    where the mean frame comes from; psnr_limit_db: PSNR of equal frames. psnr_db, ssim: by condition and frames
    ahead; lead_db: PSNR of the world minus that of a condition, paired by start. fps: frames per second of the data;
    examples: frames uint8 `[1 + horizons, H, W, 3]` of a few starts, by condition.
    """

    n: int
    asked: int
    episodes: int
    seed: int
    context: int
    intervals: BootstrapMethod
    mean_frame: str
    psnr_limit_db: float
    psnr_db: dict[str, ByHorizon]
    ssim: dict[str, ByHorizon]
    lead_db: dict[str, ByHorizon]
    psnr_curve_db: PsnrCurves
    state: StateScores
    horizons: tuple[int, ...] = field(metadata=HIDDEN)
    fps: float = field(metadata=HIDDEN)
    examples: list[dict[str, np.ndarray]] = field(metadata=HIDDEN)


@dataclass
class Seen:
    """What is kept of the roll-outs from n starts.

    psnr `{condition: [n, steps]}` in dB, ssim `{condition: [n, horizons]}`; readings `{condition: {horizon: parts}}`,
    where horizon 0 of "truth" is the last frame shown; examples: frames by start and condition.
    """

    psnr: dict[str, np.ndarray]
    ssim: dict[str, np.ndarray]
    readings: dict[str, dict[int, list[Reading]]]
    examples: dict[int, dict[str, np.ndarray]]


def run(case: Case) -> FidelityResult:
    """Judge fidelity: PSNR and SSIM, the effect of the actions, and the state that readers find.

    Cost: two roll-outs per start, as long as the largest horizon, with decoding.
    """
    begun = time.monotonic()
    settings = case.settings
    steps = settings.horizons[-1]
    starts = case.choose_starts(steps, settings.starts)
    frames, state = case.sample_frames()
    mean_frame, mean_source = _mean_frame(case, frames)
    reader = reader_for(case.dataset.meta.env_id, frames[::2], {k: v[::2] for k, v in state.items()})
    errors = reader.own_error(frames[1::2], {k: v[1::2] for k, v in state.items()})
    seen = _roll_out(case, starts, reader, mean_frame)
    boot = Bootstrap(starts.episode, starts.last, settings.seed, settings.resamples)
    psnr_db = _at_horizons(seen.psnr, settings.horizons)
    return FidelityResult(
        n=len(starts),
        asked=settings.starts,
        episodes=len(np.unique(starts.episode)),
        seed=settings.seed,
        context=case.context,
        intervals=boot.about(),
        mean_frame=mean_source,
        psnr_limit_db=PSNR_LIMIT_DB,
        psnr_db=_tables(psnr_db, boot, settings.horizons),
        ssim=_tables(seen.ssim, boot, settings.horizons),
        lead_db=_tables(_leads(psnr_db), boot, settings.horizons),
        psnr_curve_db=_curves(seen.psnr, boot),
        state=StateScores(
            reader.name, reader.about, reader.headlines, errors, _scores(case, starts, reader, seen, boot)
        ),
        horizons=settings.horizons,
        fps=case.dataset.meta.fps,
        examples=[seen.examples[start] for start in sorted(seen.examples)],
        timing=Elapsed(time.monotonic() - begun),
    )


def _mean_frame(case: Case, sample: np.ndarray) -> tuple[np.ndarray, str]:
    held = case.world.mean_frame
    if held is not None:
        return np.asarray(held, np.uint8), "mean of the training frames, stored with the world"
    mean = sample.mean(axis=0, dtype=np.float64).round().astype(np.uint8)
    return mean, "mean of the judged data's own frames, because none is stored with the world"


def _roll_out(case: Case, starts: Starts, reader: Reader, mean_frame: np.ndarray) -> Seen:
    """Roll out from every start, in batches, and keep the figures of each start but not the frames."""
    horizons, size = case.settings.horizons, case.dataset.meta.size_px
    n, steps, columns = len(starts), horizons[-1], np.asarray(horizons) - 1
    acting = case.world.action_space.kind != "none"
    names = [name for name in CONDITIONS if acting or name != "shuffled_actions"]
    clips_at_once = max(1, min(64, _BATCH_BYTES // (size * size * 3 * (case.context + 3 * steps))))
    picked = np.sort(np.random.default_rng([case.settings.seed, 2]).choice(n, min(_EXAMPLES, n), replace=False))
    actions = [case.dataset.actions(e, t, t + steps) for e, t in zip(starts.episode, starts.last, strict=True)]
    others = _other_starts(n, case.settings.seed)
    seen = Seen(
        {name: np.full((n, steps if name != "reencoded" else len(horizons)), np.nan) for name in names},
        {name: np.full((n, len(horizons)), np.nan) for name in names},
        {name: {h: [] for h in horizons} for name in ("truth", *names) if name != "mean_frame"},
        {},
    )
    seen.readings["truth"][0] = []
    with Progress("fidelity", n, "starts", case.quiet) as progress:
        for first in range(0, n, clips_at_once):
            rows = range(first, min(first + clips_at_once, n))
            clips = [case.clip(int(starts.episode[i]), int(starts.last[i]), steps) for i in rows]
            frames = np.stack([clip[0] for clip in clips])
            given, truth = frames[:, : case.context], frames[:, case.context :]
            past = np.stack([clip[1] for clip in clips])[:, : case.context - 1]
            seeds = [case.settings.seed + row for row in rows]
            made = {"copy_last": given[:, -1:], "mean_frame": mean_frame[None, None]}
            if acting:
                swapped = np.stack([actions[others[i]] for i in rows])
                made["shuffled_actions"] = case.world.rollout(case.world.start(given, past, seeds), swapped)
            taken = np.stack([actions[i] for i in rows])
            made["world"] = case.world.rollout(case.world.start(given, past, seeds), taken)
            made["reencoded"] = case.world.decode(case.world.encode(truth[:, columns]))
            _note(seen, rows, truth, given[:, -1], made, horizons, reader, case.picture)
            for i in set(rows) & set(picked.tolist()):
                seen.examples[i] = _example(truth[i - first], given[i - first], made, i - first, columns)
            progress.update(rows.stop)
    return seen


def _example(
    truth: np.ndarray, given: np.ndarray, made: dict[str, np.ndarray], row: int, columns: np.ndarray
) -> dict[str, np.ndarray]:
    """Pick the last frame shown and those at the horizons, of one start: uint8 `[1 + horizons, H, W, 3]` each."""
    strips = {"truth": truth[columns]}
    strips |= {name: made[name][row, columns] for name in ("world", "shuffled_actions") if name in made}
    return {name: np.concatenate([given[-1:], frames]) for name, frames in strips.items()}


def _note(
    seen: Seen,
    rows: range,
    truth: np.ndarray,
    last: np.ndarray,
    made: dict[str, np.ndarray],
    horizons: tuple[int, ...],
    reader: Reader,
    picture: Picture,
) -> None:
    """Write the figures of one batch of starts into `seen`; padding around the picture counts in no error."""
    place, columns = slice(rows.start, rows.stop), np.asarray(horizons) - 1
    held, targets = reader.read(last), truth[:, columns]
    seen.readings["truth"][0].append(held)
    for j, horizon in enumerate(horizons):
        seen.readings["truth"][horizon].append(reader.read(targets[:, j]))
    for name, frames in made.items():
        # Constant predictions have one frame for all steps; the reencoded truth was only made at the horizons.
        chosen = frames if name in ("copy_last", "mean_frame", "reencoded") else frames[:, columns]
        seen.psnr[name][place] = psnr(picture.cut(targets if name == "reencoded" else truth), picture.cut(frames))
        seen.ssim[name][place] = ssim(picture.cut(targets), picture.cut(chosen))
        if name != "mean_frame":
            for j, horizon in enumerate(horizons):
                read = held if name == "copy_last" else reader.read(chosen[:, j])
                seen.readings[name][horizon].append(read)


def _other_starts(n: int, seed: int) -> np.ndarray:
    """Return a permutation of the starts `[n]` that maps none to itself."""
    order = np.random.default_rng([seed, 3]).permutation(n)
    other = np.empty(n, int)
    other[order] = np.roll(order, 1)
    return other


def _at_horizons(psnr_db: dict[str, np.ndarray], horizons: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Pick the horizons' columns: `[n, horizons]` by condition."""
    columns = np.asarray(horizons) - 1
    return {name: values if name == "reencoded" else values[:, columns] for name, values in psnr_db.items()}


def _leads(psnr_db: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the world's PSNR minus that of the baselines, for each start."""
    beaten = ("copy_last", "mean_frame", "shuffled_actions")
    return {name: psnr_db["world"] - values for name, values in psnr_db.items() if name in beaten}


def _tables(values: dict[str, np.ndarray], boot: Bootstrap, horizons: tuple[int, ...]) -> dict[str, ByHorizon]:
    """Return the mean with its interval, by condition and horizon, of values `[n, horizons]`."""
    return {name: {h: boot.mean(rows[:, j]) for j, h in enumerate(horizons)} for name, rows in values.items()}


def _curves(psnr_db: dict[str, np.ndarray], boot: Bootstrap) -> PsnrCurves:
    """Return mean PSNR at every step, of the conditions for which it was measured at every step."""
    curves = {
        name: Curve.of([boot.mean(column) for column in values.T])
        for name, values in psnr_db.items()
        if name != "reencoded"
    }
    return PsnrCurves(list(range(1, psnr_db["world"].shape[1] + 1)), curves)


def _scores(case: Case, starts: Starts, reader: Reader, seen: Seen, boot: Bootstrap) -> dict[str, ScoreTable]:
    """Return the scores of the readings, by score, condition and horizon."""
    joined = {name: {h: _join(parts) for h, parts in by_horizon.items()} for name, by_horizon in seen.readings.items()}
    truth = joined.pop("truth")
    scores: dict[str, ScoreTable] = {}
    for horizon in case.settings.horizons:
        unbroken = unbroken_to(case, starts, reader, horizon)
        for name, by_horizon in joined.items():
            for score in reader.score(truth[0], truth[horizon], by_horizon[horizon], unbroken):
                table = scores.setdefault(score.key, ScoreTable(score.label, score.unit, score.statistic, {}))
                if score.statistic == "share":
                    found = boot.share(score.values)
                else:
                    found = boot.quantile(score.values, {"median": 0.5, "p90": 0.9}[score.statistic])
                table.by.setdefault(name, {})[horizon] = ScoreInterval(**asdict(found), eligible=score.eligible)
    return scores


def _join(parts: list[Reading]) -> Reading:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def unbroken_to(case: Case, starts: Starts, reader: Reader, horizon: int) -> np.ndarray:
    """Return whether the simulator had everything in play from each start to the horizon: bool `[n]`."""
    unbroken = np.ones(len(starts), bool)
    for episode in np.unique(starts.episode):
        state = {name: case.dataset.column(f"state/{name}", int(episode)) for name in case.dataset.state_names}
        in_play = reader.in_play(state)
        if in_play is not None:
            mine = np.flatnonzero(starts.episode == episode)
            unbroken[mine] = [in_play[t : t + horizon + 1].all() for t in starts.last[mine]]
    return unbroken
