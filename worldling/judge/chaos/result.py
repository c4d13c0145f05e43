"""What the chaos suite returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from worldling.judge.measures.bootstrap import BootstrapMethod
from worldling.judge.measures.chaos_error import Growth
from worldling.judge.results import SuiteResult
from worldling.report.values import HIDDEN, IF_KNOWN, SPREAD, Curve, Interval


@dataclass(frozen=True)
class LorenzExponents:
    """Lyapunov exponents of Lorenz's system, per unit of its time.

    literature: the largest, as published; free, steered: measured without actions and under those of the starts;
    sum_of_exponents, sum_known: of all three, measured and exact; frame_time: units of a frame.
    """

    literature: float
    free: Interval
    steered: Interval
    sum_of_exponents: float
    sum_known: float
    frame_time: float


@dataclass(frozen=True)
class LyapunovTime:
    """How long a Lyapunov time is.

    frames: None if perturbed copies do not part; source: what it rests on; growth_per_frame: of copies off by 0.1 %;
    exponents: of Lorenz only.
    """

    frames: float | None
    source: str
    growth_per_frame: Growth
    exponents: LorenzExponents | None = field(default=None, metadata=SPREAD)


@dataclass(frozen=True)
class TokenizerError:
    """What encoding and decoding alone costs.

    error: normalised, of true frames; share: by which a simulator is off that errs as much at its start; valid_frames:
    of that simulator; reached: the world's valid frames over those, None if there are none.
    """

    error: float
    share: float
    valid_frames: float
    reached: float | None


@dataclass(frozen=True)
class ChaosCurves:
    """Normalised error at every frame ahead (`frame`), by condition."""

    frame: list[int]
    by: dict[str, Curve] = field(metadata=SPREAD)


@dataclass(frozen=True)
class StateReading:
    """Valid frames by what is read from the frames, by condition; and the world's share of the ceiling."""

    valid_frames: dict[str, Interval]
    of_ceiling: Interval


@dataclass(frozen=True, kw_only=True)
class ChaosResult(SuiteResult):
    """For how long predictions are valid.

    n: starts; frames_ahead: predicted; fps: frames per second; limit: of the normalised error while valid; blur:
    standard deviation, in shares of the picture; context: frames shown; open_variance: of blurred frames, that the
    actions leave open. By condition: valid_frames, never_lost (share), vrmse and overlap (by frames ahead), spectrum
    (difference of log10 power). of_ceiling: the world's valid frames over those of the simulator off by 0.1 %;
    perturbation_errors: normalised, of the simulators at their start; as_good_as_off_by: share by which a simulator is
    off that is valid for as long; state: of Lorenz only; overlap: of the cloth only. films: frames uint8
    `[k, H, W, 3]` of the first start, at `film_frames` ahead.
    """

    n: int
    env_id: str
    frames_ahead: int
    fps: float
    limit: float
    blur: float
    seed: int
    context: int
    intervals: BootstrapMethod
    lyapunov: LyapunovTime
    open_variance: float
    valid_frames: dict[str, Interval]
    never_lost: dict[str, Interval]
    of_ceiling: Interval
    tokenizer: TokenizerError
    perturbation_errors: dict[str, float]
    as_good_as_off_by: float
    curve: ChaosCurves
    vrmse: dict[str, dict[int, Interval]]
    spectrum: dict[str, Interval]
    state: StateReading | None = field(metadata=IF_KNOWN)
    overlap: dict[str, dict[int, Interval]] | None = field(metadata=IF_KNOWN)
    film_frames: list[int] = field(metadata=HIDDEN)
    films: dict[str, np.ndarray] = field(metadata=HIDDEN)
