"""How the surprise suite's figures are shown to people."""

from __future__ import annotations

import numpy as np

from worldling.judge.surprise.suite import OBSERVERS, SurpriseResult
from worldling.report.figures import Line, film, line_chart
from worldling.report.sections import Block, Cell, Figure, Headline, Section, Table, Text, show

_FILM_AT = (-2, -1, 0, 1, 2, 4, 6, 9)
_EDITS = {
    "vanish": "A thing vanishes",
    "teleport": "A thing is suddenly elsewhere",
    "pass_through": "Red and yellow go through each other",
    "colour_swap": "Red and yellow trade colours",
    "anti_gravity": "A thing falls upward",
}
_RULES = {"max": "most surprising frame", "mean": "mean of the frames"}
_UNITS = {
    "nats": "Surprise is counted in nats: how unlikely the world held the next frame to be, given all before it.",
    "pixel error": "This world does not say how likely it holds a frame to be (it has no `surprise` of its own), so "
    "its surprise is the squared error of the frame it predicts from the ones before. Figures in nats must not be "
    "compared with these.",
}
_OWN_UNIT = (
    "Surprise is counted in what this world's `surprise` gives. Figures of other worlds must not be compared with "
    "these."
)


def page(result: SurpriseResult) -> Section:
    """Lay out the tables, and for each edit a film strip of a pair over its curve."""
    total, rule = result.all, result.rule
    intro = (
        f"{result.n} pairs of short clips, {result.pairs_per_edit_and_scene} for each of {len(result.edits)} edits in "
        f"each of {len(result.scenes)} scenes. The clips of a pair are the same up to a moment; then one goes on as it "
        "must and in the other something happens that cannot: a thing vanishes, jumps, goes through another, trades "
        "colours, falls upward. Counted are the pairs in which the world is more surprised by the impossible clip; "
        "guessing gives 50 %. A clip is as surprising as its most surprising frame in the "
        f"{result.scored} from the edit on. {_UNITS.get(result.unit, _OWN_UNIT)}"
    )
    headline = Headline(
        "More surprised by the impossible",
        show(total["world"][rule].value, "share"),
        f"last frame expected again {show(total['copy_last'][rule].value, 'share')}, guessing 50 %",
    )
    blocks: list[Block] = [Text(intro), _by_edit(result), _others(result)]
    blocks += [_figure(result, kind) for kind in result.edits]
    return Section("Surprise: does it notice what cannot happen?", [headline], blocks)


def _by_edit(result: SurpriseResult) -> Table:
    rule, scenes = result.rule, list(result.scenes)
    rows: list[list[Cell]] = [
        [_EDITS[kind], shares["world"][rule], *(result.cells[kind][scene] for scene in scenes)]
        for kind, shares in result.edits.items()
    ]
    of_scenes = [shares["world"][rule] for shares in result.scenes.values()]
    rows.append(["all edits", result.all["world"][rule], *of_scenes])
    return Table(
        "Pairs in which the impossible surprises more",
        ["", "all scenes", *scenes],
        rows,
        "A tie counts half. The intervals come from resampling the pairs; a single scene of one edit has few.",
        "share",
    )


def _others(result: SurpriseResult) -> Table:
    rows: list[list[Cell]] = [
        [f"{OBSERVERS[name]}, {words}", by_rule[key], *(shares[name][key] for shares in result.edits.values())]
        for name, by_rule in result.all.items()
        for key, words in _RULES.items()
    ]
    return Table(
        "Who else would notice",
        ["", "all edits", *(kind.replace("_", " ") for kind in result.edits)],
        rows,
        "One that expects the last frame again is surprised by all that moves, and much of what cannot happen also "
        "moves more: where it does as well as the world, the amount of change gives the edit away, and the world's "
        "figure is no proof of physics. The simulator is run again without the edit, its velocities changed by 0.1 %: "
        f"the best there is. It and the random weights are shown {result.all['simulator'][result.rule].n} of the pairs."
        " Random weights say their surprise as the world does, the other two by pixel error.",
        "share",
    )


def _figure(result: SurpriseResult, kind: str) -> Figure:
    """One pair of an edit, over its surprise and the mean of all pairs of that edit."""
    shown, mean, first = result.films[kind], result.curves[kind], result.first_edited
    at, sides = np.array(_FILM_AT), ("possible", "impossible")
    strip = film(
        [(name, clip[first + at]) for name, clip in zip(sides, shown.clips, strict=True)],
        ["edit" if t == 0 else f"{t:+d}" for t in _FILM_AT],
    )
    since = np.arange(1, shown.clips.shape[1]) - first
    lines = [
        Line(f"this pair, {name}", since, curve, dots=True) for name, curve in zip(sides, shown.curves, strict=True)
    ]
    lines += [
        Line(f"all pairs, {name}", since, curve.value, curve.low, curve.high, dashed=True)
        for name, curve in zip(sides, (mean.possible, mean.impossible), strict=True)
    ]
    return Figure(
        _EDITS[kind],
        strip + line_chart(lines, "frames since the edit", f"surprise ({result.unit})"),
        f"The first pair of the scene {shown.scene}, not picked by hand. Dashed: the mean of all pairs of this edit, "
        "shaded its 95 % interval.",
    )
