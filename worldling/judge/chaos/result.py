"""What the chaos suite returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worldling.judge.measures.bootstrap import BootstrapMethod
from worldling.judge.measures.chaos_error import Growth
from worldling.judge.results import SuiteResult
from worldling.report.values import Curve, Interval, hidden, if_known, spread


@dataclass(frozen=True, kw_only=True)
class LyapunovTime:
    """How long a Lyapunov time is.

    frames: None if perturbed copies do not part; source: what it rests on; growth_per_frame: of copies off by 0.1 %.
    Of Lorenz only, per unit of its time: literature: the known exponent; free, steered: measured without actions and
    under those of the starts; sum_of_exponents, sum_known: of all three; frame_time: units of a frame.
    """

    frames: float | None
    source: str
    growth_per_frame: Growth
    literature: float | None = if_known(default=None)
    free: Interval | None = if_known(default=None)
    steered: Interval | None = if_known(default=None)
    sum_of_exponents: float | None = if_known(default=None)
    sum_known: float | None = if_known(default=None)
    frame_time: float | None = if_known(default=None)


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
    by: dict[str, Curve] = spread()


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
    state: StateReading | None = if_known()
    overlap: dict[str, dict[int, Interval]] | None = if_known()
    film_frames: list[int] = hidden()
    films: dict[str, np.ndarray] = hidden()
