"""How the control suite's figures are shown to people."""

from __future__ import annotations

import numpy as np

from worldling.judge.control.suite import PREDICTORS, ControlResult
from worldling.judge.truth.forks import ANSWERS
from worldling.report.figures import Line, film, line_chart
from worldling.report.sections import Block, Cell, Figure, Headline, Measured, Section, Table, Text, show
from worldling.report.values import Curve


def page(result: ControlResult) -> Section:
    """Lay out the tables, curves and a film strip of every scene."""
    blocks: list[Block] = [Text(_intro(result))]
    if result.anchors_missing:
        missing = ", ".join(PREDICTORS[name] for name in result.anchors_missing)
        blocks.append(Text(f"Not measured, because the networks of this world are not ours: {missing}."))
    blocks += [
        _films(result),
        *_ranking(result),
        _ranking_curve(result),
        _inverse_dynamics(result),
        _by_answer(result),
        _latency(result),
        _response_curve(result),
        _forks(result),
    ]
    return Section("Control: does the world follow its actions?", _headlines(result), blocks)


def _headlines(result: ControlResult) -> list[Headline]:
    ranked, told, late = result.counterfactuals, result.inverse_dynamics, result.latency["world"]
    best = show(ranked["simulator"].pictures.mean.value, "share")
    real = show(told["truth"].mean.value, "share")
    return [
        Headline(
            "Right one of four futures ranked first",
            show(ranked["world"].pictures.mean.value, "share"),
            f"guessing {show(result.chance, 'share')}, a perturbed simulator {best}",
        ),
        Headline(
            "Push told from the prediction",
            show(told["world"].mean.value, "share"),
            f"from real clips {real}, guessing {show(result.majority, 'share')}",
        ),
        Headline(
            "Responds to a push within a frame of the simulator",
            show(late.within_1.mean.value, "share"),
            f"{show(late.never.mean.value, 'share')} never show",
        ),
    ]


def _intro(result: ControlResult) -> str:
    return (
        f"From {result.forks} moments of the {len(result.fork_set.tried)} scenes the simulator continued in five ways: "
        "no push, or a push on red to the right, away, to the left or toward the camera, from 0 to "
        f"{result.latest_push} frames later on and in bursts. The world was shown the {result.shown_frames} frames "
        "before, and predicted the same five. Asked is whether each prediction goes where its actions lead "
        f"({result.judged_frames} frames from the push on, {result.judged_frames / result.fps:.2g} s), whether one can "
        "tell from the prediction which way red was pushed, and how soon red responds. The baselines below the world "
        f"are measured by the same code on the first {result.anchor_forks_per_scene} of {result.forks_per_scene} "
        "moments in each scene."
    )


def _films(result: ControlResult) -> Figure:
    pushed = [f"pushed {answer}" if answer != "toward" else "pushed toward us" for answer in ANSWERS[1:]]
    strips = "".join(
        film([(f"{scene}: truth", rows["truth"]), ("predicted", rows["world"])], ["last shown", *pushed])
        for scene, rows in result.films.items()
    )
    return Figure(
        "Four futures of one moment: truth above prediction",
        strips,
        "The first moment drawn in each scene, and how it looks at the last frame judged. Columns should be equal; "
        "neighbours should differ.",
    )


def _ranking(result: ControlResult) -> list[Table]:
    scenes = list(result.fork_set.tried)
    columns = ["predicted by", "all scenes", *scenes]

    def rows(key: str) -> list[list[Cell]]:
        tables = {name: getattr(ranking, key) for name, ranking in result.counterfactuals.items()}
        return [[PREDICTORS[name], by.mean, *(by.scenes[s] for s in scenes)] for name, by in tables.items()]

    return [
        Table(
            "Share of predictions nearest to the future of their own actions, by pictures",
            columns,
            rows("pictures"),
            "Each prediction is compared with all four true futures; the nearest is the one with the smallest squared "
            "difference of pixels over all frames from the push on. Guessing gives "
            f"{show(result.chance, 'share')}. This is the headline: it needs nothing but pictures.",
            "share",
        ),
        Table(
            "The same by where red is",
            columns,
            rows("places"),
            "The nearest is the one in which red is nearest to where it is in the prediction, on average over these "
            "frames. Red is found by its colour; while it is hidden it counts as where it was last seen.",
            "share",
        ),
        Table(
            "How much nearer to its own future than to the nearest other",
            ["dB", *columns[1:]],
            rows("lead_db"),
            "6 dB: half the error. Below zero another future is nearer.",
            "dB",
            folded=True,
        ),
    ]


def _ranking_curve(result: ControlResult) -> Figure:
    ranked = result.counterfactuals
    lines = [_line(PREDICTORS[name], ranking.curve.pictures, name) for name, ranking in ranked.items()]
    lines.append(_line("the world, by where red is", ranked["world"].curve.places, ""))
    return Figure(
        "How soon the predictions part rightly",
        line_chart(lines, "frames since the push", "nearest to their own future (%)"),
        "By all frames up to that one. The shade is the 95 % interval.",
    )


def _inverse_dynamics(result: ControlResult) -> Table:
    scenes = list(result.fork_set.tried)
    rows: list[list[Cell]] = [
        [PREDICTORS[name], by.mean, *(by.scenes[s] for s in scenes)] for name, by in result.inverse_dynamics.items()
    ]
    return Table(
        "Inverse dynamics: share of futures whose push is told rightly",
        ["futures of", "all scenes", *scenes],
        rows,
        "A readout, fitted on real clips of other moments, says from red's motion in the first frames of a push which "
        f"of {len(ANSWERS)} it was: {', '.join(ANSWERS)}. Each is as frequent as the others, so that guessing gives "
        f"{show(result.majority, 'share')}; the first row is what the readout can do at best.",
        "share",
    )


def _by_answer(result: ControlResult) -> Table:
    rows: list[list[Cell]] = [
        [PREDICTORS[name], *(by.answers[answer] for answer in ANSWERS)] for name, by in result.inverse_dynamics.items()
    ]
    return Table(
        "The same by push",
        ["futures of", *ANSWERS],
        rows,
        "Of all futures with that push, how many are told rightly.",
        "share",
        folded=True,
    )


def _latency(result: ControlResult) -> Table:
    rows: list[list[Cell]] = [
        [
            PREDICTORS[name],
            *(Measured(by.mean, "frames") for by in (found.frames, found.behind)),
            *(Measured(by.mean, "share") for by in (found.within_1, found.never)),
            found.frames.mean.n,
        ]
        for name, found in result.latency.items()
    ]
    return Table(
        "Latency: how soon red responds to a push",
        [
            "futures of",
            "frames until red responds, median",
            "later than in the simulator, median",
            "within 1 frame of the simulator",
            "never",
            "pushes",
        ],
        rows,
        f"Red has responded once it is {result.moved * 64:g} pixel of 64 away from where it is in the same predictor's "
        f"future without a push. Counted are pushes that it really responds to within {result.judged_frames} frames; "
        f"never responding counts as frame {result.judged_frames + 1}.",
    )


def _response_curve(result: ControlResult) -> Figure:
    lines = [_line(PREDICTORS[name], by.curve, name) for name, by in result.latency.items()]
    return Figure(
        "Share of pushes that red has responded to",
        line_chart(lines, "frames since the push", "responded (%)"),
        "The world's curve should lie on the truth's. The shade is the 95 % interval.",
    )


def _forks(result: ControlResult) -> Table:
    rows: list[list[Cell]] = [
        [scene, tried, result.forks_per_scene, result.fork_set.checksums[scene][:16]]
        for scene, tried in result.fork_set.tried.items()
    ]
    return Table(
        "Moments drawn and used",
        ["scene", "drawn", "used", "sha256 of seeds and actions"],
        rows,
        f"A moment is used if red's four pushed ends lie at least {result.apart * 100:g} % of the tray's width apart, "
        "says the simulator. Its trials are neither of the training data nor of the exam.",
        folded=True,
    )


def _line(label: str, curve: Curve, name: str) -> Line:
    value, low, high = curve.array(100.0)
    return Line(label, np.arange(1, len(value) + 1), value, low, high, dashed=name not in ("world", "truth"))
