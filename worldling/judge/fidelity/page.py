"""The fidelity suite's section of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worldling.judge.fidelity.suite import CONDITIONS, ByHorizon, FidelityResult, StateScores
from worldling.judge.readers.reader import OwnError
from worldling.report.figures import Line, film, line_chart
from worldling.report.sections import Block, Cell, Figure, Headline, Measured, Section, Table, Text, show
from worldling.report.values import Curve


def page(result: FidelityResult) -> Section:
    """Lay out figures, curves, tables and film strips."""
    blocks: list[Block] = [Text(_intro(result))]
    if result.n < result.asked:
        text = f"{result.asked} starts were asked for; the data set has only {result.n}."
        blocks.append(Text(text, warning=True))
    blocks += [_films(result), *_state_tables(result.state, result.horizons), _curve(result), *_picture_tables(result)]
    return Section("Fidelity: do predictions match the recording?", _headlines(result), blocks)


def _intro(result: FidelityResult) -> str:
    furthest = max(result.horizons)
    return (
        f"From {result.n} points in {result.episodes} recorded episodes the world was shown {result.context} real "
        "frames and then predicted from its own frames, under the recorded actions, without seeing another real frame. "
        f"“{furthest} ahead” means that many predicted frames later ({furthest / result.fps:.1f} s of real time)."
    )


def _ahead(horizons: Sequence[int]) -> list[str]:
    return [f"{h} ahead" for h in horizons]


def _films(result: FidelityResult) -> Figure:
    columns = ["last shown", *_ahead(result.horizons)]
    names = {"truth": "recorded", "world": "predicted", "shuffled_actions": "other actions"}
    strips = "".join(film([(names[key], frames) for key, frames in rows.items()], columns) for rows in result.examples)
    return Figure(
        "Film strips: recorded above predicted",
        strips,
        "Starts chosen at random, not by hand. “Other actions” is the same start under the actions "
        "of another start: where the actions matter it should differ.",
    )


def _curve(result: FidelityResult) -> Figure:
    curves = result.psnr_curve_db
    lines = [
        Line(CONDITIONS[name], curves.step, curve.value, curve.low, curve.high, dashed=name != "world")
        for name, curve in curves.by.items()
    ]
    return Figure(
        "PSNR against the recorded frame",
        line_chart(lines, "frames ahead", "PSNR (dB)"),
        "Higher is closer; 6 dB more means half the error. The shaded band is the 95 % interval.",
    )


def _picture_tables(result: FidelityResult) -> list[Table]:
    horizons = result.horizons
    columns = _ahead(horizons)
    lead = {
        "copy_last": "better than repeating the last frame by",
        "mean_frame": "better than showing the mean frame by",
        "shuffled_actions": "worse by, when given another start's actions",
    }

    def rows(table: Mapping[str, ByHorizon]) -> list[list[Cell]]:
        return [[CONDITIONS[name], *(by[h] for h in horizons)] for name, by in table.items()]

    lead_rows: list[list[Cell]] = [
        [text, *(result.lead_db[name][h] for h in horizons)] for name, text in lead.items() if name in result.lead_db
    ]
    return [
        Table(
            "PSNR gain over the baselines",
            ["dB of PSNR", *columns],
            lead_rows,
            "Paired differences over the starts. A world that has learnt something is above zero in each row; the "
            "last row says how much it uses the actions. An interval that includes zero is not evidence of a gain.",
            "dB",
        ),
        Table(
            "PSNR",
            ["dB, higher is closer", *columns],
            rows(result.psnr_db),
            "Peak signal-to-noise ratio of each frame, then averaged over the starts; identical frames count "
            f"as {result.psnr_limit_db:.1f} dB. The last row is the best that this world's tokenizer "
            f"could show. Mean frame: {result.mean_frame}.",
            "dB",
        ),
        Table(
            "SSIM",
            ["1 means identical", *columns],
            rows(result.ssim),
            "Structural similarity with a 7 x 7 window (Wang et al., 2004), averaged over the starts.",
        ),
    ]


def _state_tables(state: StateScores, horizons: Sequence[int]) -> list[Block]:
    columns, scores = _ahead(horizons), state.scores.values()
    blocks: list[Block] = [_share_chart(state, horizons)]
    for name in ("world", "shuffled_actions", "copy_last", "reencoded"):
        rows: list[list[Cell]] = [
            [score.label, *(Measured(score.by[name][h], score.unit) for h in horizons)]
            for score in scores
            if name in score.by
        ]
        if name == "world":
            note = f"{state.about} Compared with the same reader on the recorded frame."
            blocks.append(Table("State read from the frames", [CONDITIONS[name], *columns], rows, note))
        elif rows:
            title = f"The same for: {CONDITIONS[name]}"
            blocks.append(Table(title, [CONDITIONS[name], *columns], rows, folded=True))
    counts = [
        [score.label, *(f"{score.by['world'][h].n} of {score.by['world'][h].eligible}" for h in horizons)]
        for score in scores
    ]
    blocks.append(
        Table(
            "How many starts were counted",
            ["counted, of those eligible at the start", *columns],
            counts,
            "Counted: the recorded frame shows the object at that horizon. Eligible: possible, judging by the "
            "start (for a ball: it was visible in the last frame shown).",
            folded=True,
        )
    )
    if state.own_error:
        blocks.append(_own_error_table(state.own_error))
    return blocks


def _share_chart(state: StateScores, horizons: Sequence[int]) -> Figure:
    lines = []
    for key, score in state.scores.items():
        if score.unit == "share" and "missing" not in key:
            value, low, high = Curve.of([score.by["world"][h] for h in horizons]).array(100.0)
            lines.append(Line(score.label, horizons, value, low, high, dots=True))
    return Figure(
        f"Share of predictions that are right ({state.reader})",
        line_chart(lines, "frames ahead", "share of starts (%)"),
        "A frame can have a high PSNR and yet miss what matters; here objects are located and measured.",
    )


def _own_error_table(errors: Sequence[OwnError]) -> Table:
    return Table(
        "The reader's own error on recorded frames",
        ["against the simulator's state", "median", "90th percentile", "not found", "frames"],
        [[e.quantity, show(e.median, e.unit), show(e.p90, e.unit), show(e.missed, "share"), e.n] for e in errors],
        "Errors of predictions that are smaller than this cannot be measured.",
    )


def _headlines(result: FidelityResult) -> list[Headline]:
    middle = 10 if 10 in result.horizons else result.horizons[-1]
    world, copied, mean = (result.psnr_db[name][middle].value for name in ("world", "copy_last", "mean_frame"))
    lines = [
        Headline(
            f"PSNR, {middle} frames ahead",
            f"{show(world, 'dB')} dB",
            f"last frame repeated {show(copied, 'dB')}, mean frame {show(mean, 'dB')}",
        )
    ]
    if "shuffled_actions" in result.lead_db:
        loss = result.lead_db["shuffled_actions"][middle].value
        lines.append(
            Headline(
                f"PSNR lost with wrong actions, {middle} ahead",
                f"{show(loss, 'dB')} dB",
                "0 means that it ignores its actions",
            )
        )
    for score in (result.state.scores[key] for key in result.state.headlines):
        held = show(score.by["copy_last"][middle].value, "share")
        lines.append(
            Headline(
                f"{score.label}, {middle} ahead",
                show(score.by["world"][middle].value, "share"),
                f"last frame repeated: {held}",
            )
        )
    return lines
