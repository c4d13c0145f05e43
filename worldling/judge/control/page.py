"""How the control suite's figures are shown to people."""

from __future__ import annotations

from typing import Any

import numpy as np

from worldling.judge.truth.forks import ANSWERS
from worldling.report.figures import Line, film, line_chart
from worldling.report.sections import Figure, Section, Table, Text, show


def page(
    values: dict[str, Any], films: dict[str, dict[str, np.ndarray]], words: dict[str, str], timing: dict[str, Any]
) -> Section:
    """Lay out the tables, curves and a film strip of every scene. words: what each dreamer is called."""
    told, late = values["inverse_dynamics"], values["latency"]
    ranked = values["counterfactuals"]
    blocks: list[Any] = [Text(_intro(values))]
    if values["anchors_missing"]:
        missing = ", ".join(words[name] for name in values["anchors_missing"])
        blocks.append(Text(f"Not measured, because the networks of this world are not ours to shuffle: {missing}."))
    blocks += [
        _films(films),
        *_ranking(values, words),
        _ranking_curve(values, words),
        _inverse_dynamics(values, words),
        _by_answer(values, words),
        _latency(values, words),
        _answer_curve(values, words),
        _forks(values),
    ]
    best = ranked["simulator"]["pictures"]["mean"]["value"]
    return Section(
        "Control: does the dream do what its actions say?",
        values,
        timing,
        [
            (
                "Right one of four futures ranked first",
                show(ranked["world"]["pictures"]["mean"]["value"], "share"),
                f"guessing {show(values['chance'], 'share')}, a jolted engine {show(best, 'share')}",
            ),
            (
                "Push told from the dream",
                show(told["world"]["mean"]["value"], "share"),
                f"from real clips {show(told['truth']['mean']['value'], 'share')}, guessing {show(values['majority'], 'share')}",
            ),
            (
                "Answers a push within a frame of the engine",
                show(late["world"]["within_1"]["mean"]["value"], "share"),
                f"{show(late['world']['never']['mean']['value'], 'share')} are never answered",
            ),
        ],
        blocks,
    )


def _intro(values: dict[str, Any]) -> str:
    return (
        f"From {values['forks']} moments of the {len(values['set']['tried'])} scenes the engine went on in five ways: nobody touches red, or "
        "a hand pushes it to the right, away, to the left or toward the camera, from 0 to "
        f"{values['latest_push']} frames later on and in bursts. The world was shown the {values['shown_frames']} frames before, and dreamed the same "
        f"five. Asked is whether each dream goes where its actions lead ({values['judged_frames']} frames from the push on, "
        f"{values['judged_frames'] / values['fps']:.2g} s), whether one can tell from the dream which way red was pushed, and how soon red answers. "
        f"The anchors below the world are measured by the same code on the first {values['anchor_forks_per_scene']} of "
        f"{values['forks_per_scene']} moments in each scene."
    )


def _films(films: dict[str, dict[str, np.ndarray]]) -> Figure:
    columns = [
        "last shown",
        *(f"pushed {answer}" if answer != "toward" else "pushed toward us" for answer in ANSWERS[1:]),
    ]
    strips = "".join(
        film([(f"{scene}: truth", rows["truth"]), ("dream", rows["dream"])], columns) for scene, rows in films.items()
    )
    return Figure(
        "Four futures of one moment: truth over dream",
        strips,
        "The first moment drawn in each scene, and how it looks at the last frame judged. Columns should be equal; neighbours should differ.",
    )


def _ranking(values: dict[str, Any], words: dict[str, str]) -> list[Table]:
    found, scenes = values["counterfactuals"], list(values["set"]["tried"])

    def rows(key: str) -> list[list[Any]]:
        return [[words[name], by[key]["mean"], *(by[key]["scenes"][s] for s in scenes)] for name, by in found.items()]

    return [
        Table(
            "Share of dreams nearest to the future of their own actions, by pictures",
            ["dreamed by", "all scenes", *scenes],
            rows("pictures"),
            "Each dream is laid beside all four true futures; the nearest is the one with the smallest squared difference of pixels over all frames "
            f"from the push on. Guessing gives {show(values['chance'], 'share')}. This is the headline: it needs nothing but pictures.",
            "share",
        ),
        Table(
            "The same by where red is",
            ["dreamed by", "all scenes", *scenes],
            rows("places"),
            "The nearest is the one in which red is nearest to where it is in the dream, on average over these frames. Red is found by its "
            "colour; while it is hidden it counts as where it was last seen.",
            "share",
        ),
        Table(
            "How much nearer to its own future than to the nearest other",
            ["dB", "all scenes", *scenes],
            rows("lead_db"),
            "6 dB: half the error. Below zero another future is nearer.",
            "dB",
            folded=True,
        ),
    ]


def _ranking_curve(values: dict[str, Any], words: dict[str, str]) -> Figure:
    lines = [_line(words[name], by["curve"]["pictures"], name) for name, by in values["counterfactuals"].items()] + [
        _line("the world, by where red is", values["counterfactuals"]["world"]["curve"]["places"], "")
    ]
    return Figure(
        "How soon the dreams part rightly",
        line_chart(lines, "frames since the push", "nearest to their own future (%)"),
        "By all frames up to that one. The shade is the 95 % interval.",
    )


def _inverse_dynamics(values: dict[str, Any], words: dict[str, str]) -> Table:
    scenes = list(values["set"]["tried"])
    rows = [
        [words[name], by["mean"], *(by["scenes"][s] for s in scenes)] for name, by in values["inverse_dynamics"].items()
    ]
    return Table(
        "Inverse dynamics: share of futures whose push is told rightly",
        ["futures of", "all scenes", *scenes],
        rows,
        f"A readout, fitted on real clips of other moments, says from red's motion in the first frames of a push which of {len(ANSWERS)} it was: "
        f"{', '.join(ANSWERS)}. Each is as frequent as the others, so that guessing gives {show(values['majority'], 'share')}; the first row is what "
        "the readout can do at best.",
        "share",
    )


def _by_answer(values: dict[str, Any], words: dict[str, str]) -> Table:
    rows = [
        [words[name], *(by["answers"][answer] for answer in ANSWERS)] for name, by in values["inverse_dynamics"].items()
    ]
    return Table(
        "The same by push",
        ["futures of", *ANSWERS],
        rows,
        "Of all futures with that push, how many are told rightly.",
        "share",
        folded=True,
    )


def _latency(values: dict[str, Any], words: dict[str, str]) -> Table:
    pixels = values["answered"] * 64
    columns = {"frames": "frames until red answers, median", "behind": "later than in the engine, median"}
    rows = [
        [
            words[name],
            *({**by[key]["mean"], "unit": "frames"} for key in columns),
            *({**by[key]["mean"], "unit": "share"} for key in ("within_1", "never")),
            by["frames"]["mean"]["n"],
        ]
        for name, by in values["latency"].items()
    ]
    return Table(
        "Latency: how soon red answers a push",
        ["futures of", *columns.values(), "within 1 frame of the engine", "never", "pushes"],
        rows,
        f"Red has answered once it is {pixels:g} pixel of 64 away from where it is in the same dreamer's future without a push. Counted are pushes that it "
        f"really answers within {values['judged_frames']} frames; a dream that never does counts as frame {values['judged_frames'] + 1}.",
    )


def _answer_curve(values: dict[str, Any], words: dict[str, str]) -> Figure:
    lines = [_line(words[name], by["curve"], name) for name, by in values["latency"].items()]
    return Figure(
        "Share of pushes that red has answered",
        line_chart(lines, "frames since the push", "answered (%)"),
        "The world's curve should lie on the truth's. The shade is the 95 % interval.",
    )


def _forks(values: dict[str, Any]) -> Table:
    rows = [
        [scene, tried, values["forks_per_scene"], values["set"]["checksums"][scene][:16]]
        for scene, tried in values["set"]["tried"].items()
    ]
    return Table(
        "Moments drawn and used",
        ["scene", "drawn", "used", "sha256 of seeds and actions"],
        rows,
        f"A moment is used if red's four pushed ends lie at least {values['apart'] * 100:g} % of the tray's width apart, says the engine. Its trials are "
        "neither of the training data nor of the exam.",
        folded=True,
    )


def _line(label: str, points: dict[str, list[float]], name: str) -> Line:
    value, low, high = (100 * np.array(points[key], float) for key in ("value", "low", "high"))
    return Line(label, np.arange(1, len(value) + 1), value, low, high, dashed=name not in ("world", "truth"))
