"""How the chaos suite's figures are shown to people."""

from __future__ import annotations

from collections.abc import Mapping

from worldling.judge.chaos.result import ChaosResult, StateReading
from worldling.judge.truth.chaos_clips import SHARES
from worldling.report.figures import Line, film, line_chart
from worldling.report.sections import Block, Cell, Figure, Headline, Measured, Section, Table, Text, show
from worldling.report.values import Interval

CONDITIONS = {
    "world": "the world",
    **{str(share): f"simulator, off by {share * 100:g} %" for share in SHARES},
    "copy_last": "last frame shown, repeated",
    "random_weights": "the same networks, random weights",
    "other": "another real run, same actions",
}
_FILMS = {"truth": "truth", "world": "predicted", "0.001": "off by 0.1 %", "0.01": "off by 1 %", "0.1": "off by 10 %"}


def page(result: ChaosResult) -> Section:
    """Lay out tables, curves and film strips."""
    blocks: list[Block] = [
        Text(_intro(result)),
        _valid_table(result),
        _films(result),
        _curves(result),
        _lyapunov_table(result),
    ]
    if result.state is not None:
        blocks.append(_state(result.state, result.limit))
    if result.overlap is not None:
        heading = "intersection over union with the true one"
        blocks.append(_moments("Outline of the cloth", heading, result.overlap, "1 is the same outline."))
    note = "Root mean squared error over the true frame's own standard deviation (The Well, arXiv 2412.00568)."
    blocks += [_moments("VRMSE", "grey frames, not blurred", result.vrmse, note), _spectrum(result)]
    return Section("Chaos: for how long is the prediction valid?", _headlines(result), blocks)


def _times(result: ChaosResult, frames: float | None) -> float | None:
    """Lyapunov times that so many frames are."""
    length = result.lyapunov.frames
    return None if frames is None or length is None else frames / length


def _off(share: float) -> str:
    """How far a simulator is off, in words; the ladder of simulators says nothing beyond its ends."""
    if share >= 0.999 * SHARES[-1]:
        return f"off by {SHARES[-1] * 100:g} % or more"
    return f"off by {SHARES[0] * 100:g} % or less" if share <= 1.001 * SHARES[0] else f"off by {share * 100:.2g} %"


def _intro(result: ChaosResult) -> str:
    length = result.lyapunov.frames
    unit = (
        "No Lyapunov time could be fitted: perturbed copies do not part"
        if length is None
        else f"A Lyapunov time is {length:.1f} frames here"
    )
    return (
        f"{result.env_id} is chaotic: the smallest difference grows, so nobody can predict it for long. From each of "
        f"{result.n} starts the world was shown {result.context} frames and predicted {result.frames_ahead} more under "
        f"the true actions. A prediction is valid until its error exceeds {result.limit:g}, where 1 is the standard "
        "deviation that the actions leave open and 1.41 is what another real run under the same actions scores; frames "
        f"are blurred by a sixteenth of the picture first. {unit} ({result.lyapunov.source}). Beside the world: the "
        "true simulator itself, its state perturbed at the start by a known share of its spread. The one off by 0.1 % "
        "(less than a picture can show) is the ceiling. This world's tokenizer alone errs as much as a simulator "
        f"{_off(result.tokenizer.share)} does when it starts."
    )


def _valid_table(result: ChaosResult) -> Table:
    rows: list[list[Cell]] = []
    for name, frames in result.valid_frames.items():
        seconds = show(None if frames.value is None else frames.value / result.fps)
        lyapunov = frames.times(_times(result, 1.0))
        never = Measured(result.never_lost[name], "share")
        rows.append([CONDITIONS[name], Measured(frames, "frames"), seconds, lyapunov, never, frames.n])
    return Table(
        "Valid-prediction time",
        ["mean over the starts", "frames", "seconds", "Lyapunov times", "valid to the end", "starts"],
        rows,
        f"Starts that are valid to the end count {result.frames_ahead} frames. The world is valid for as long as a "
        f"simulator {_off(result.as_good_as_off_by)} (read between the simulators' rows, on a logarithmic scale).",
    )


def _films(result: ChaosResult) -> Figure:
    rows = [(text, result.films[name]) for name, text in _FILMS.items() if name in result.films]
    return Figure(
        "Film strips of the first start",
        film(rows, [f"{t} ahead" for t in result.film_frames]),
        "All rows go through the same actions. The simulators part from the truth as well: that is chaos, not a fault.",
    )


def _curves(result: ChaosResult) -> Figure:
    lines = []
    for name, curve in result.curve.by.items():
        if name != "other":  # it stays about 1.41, which the introduction says
            value, low, high = curve.array()
            lines.append(Line(CONDITIONS[name], result.curve.frame, value, low, high, dashed=name != "world"))
    return Figure(
        "Error over time",
        line_chart(lines, "frames ahead", "normalised error", band=(0.0, result.limit)),
        "Valid while inside the green band. The shade is the 95 % interval over the starts.",
    )


def _lyapunov_table(result: ChaosResult) -> Table:
    found = result.lyapunov
    fit = found.growth_per_frame
    rows: list[list[Cell]] = [["growth of copies off by 0.1 %, per frame", fit]]
    note = (
        "Copies: slope of the mean logarithm of their distance from the truth, frames "
        f"{fit.first_frame} to {fit.last_frame}."
    )
    known = found.exponents
    if known is not None:
        rows = [
            ["literature, per unit of time", f"{known.literature:g}"],
            ["measured without actions", known.free],
            ["measured under the actions of these starts", known.steered],
            [f"sum of all three exponents (exactly {known.sum_known:.3f})", f"{known.sum_of_exponents:.3f}"],
            *rows,
        ]
        note += (
            " The others: the method of Benettin et al. (1980) on the environment's own equations; a frame is "
            f"{known.frame_time:g} units."
        )
    return Table("How chaotic it is", ["largest Lyapunov exponent", ""], rows, note)


def _state(state: StateReading, limit: float) -> Table:
    rows: list[list[Cell]] = [[CONDITIONS[name], Measured(by, "frames")] for name, by in state.valid_frames.items()]
    return Table(
        "The same, by what is read from the frames",
        ["frames valid", "ball's place"],
        rows,
        "x, y and z are read by colour from predicted and simulated frames and compared with the simulator's state; "
        f"off when they differ by more than {limit:g} of their spread. The world reaches "
        f"{show(state.of_ceiling.value, 'share')} of the ceiling so.",
    )


def _spectrum(result: ChaosResult) -> Table:
    return Table(
        "Does it still look like it?",
        ["second half of the time", "difference of log10 power"],
        [[CONDITIONS[name], found] for name, found in result.spectrum.items()],
        "The spectrum of grey frames, scale by scale, against the truth's: small when there is as much of every scale, "
        "wherever it is. Another real run is the floor: a prediction that is off but still looks real comes near it.",
        folded=True,
    )


def _moments(title: str, heading: str, table: Mapping[str, Mapping[int, Interval]], note: str) -> Table:
    moments = [f"{t} ahead" for t in table["world"]]
    rows: list[list[Cell]] = [[CONDITIONS[name], *found.values()] for name, found in table.items()]
    return Table(title, [heading, *moments], rows, note, folded=True)


def _headlines(result: ChaosResult) -> list[Headline]:
    world, ceiling = result.valid_frames["world"].value, result.valid_frames[str(SHARES[0])].value
    ratio, times = result.of_ceiling, _times(result, world)
    between = f"{show(ratio.low, 'share')} to {show(ratio.high, 'share')}"
    return [
        Headline(
            "Valid for",
            f"{world:.0f} frames" if times is None else f"{times:.1f} Lyapunov times",
            f"{world:.0f} frames; a simulator off by 0.1 %: {ceiling:.0f}",
        ),
        Headline(
            "Share of that ceiling",
            show(ratio.value, "share"),
            f"{between}; as good as a simulator {_off(result.as_good_as_off_by)}",
        ),
    ]
