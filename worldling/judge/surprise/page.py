"""How the surprise suite's figures are shown to people."""

from __future__ import annotations

from typing import Any

import numpy as np

from worldling.report.figures import Line, film, line_chart
from worldling.report.sections import Figure, Section, Table, Text, show

_FILM_AT = (-2, -1, 0, 1, 2, 4, 6, 9)
_EDITS = {
    "vanish": "A thing vanishes",
    "teleport": "A thing is suddenly elsewhere",
    "pass_through": "Red and yellow go through each other",
    "colour_swap": "Red and yellow trade colours",
    "anti_gravity": "A thing falls upward",
}
_RULES = {"max": "most surprising frame", "mean": "mean of the frames"}


def page(
    values: dict[str, Any], films: dict[str, dict[str, Any]], words: dict[str, str], timing: dict[str, Any], first: int
) -> Section:
    """Lay out the tables, and for each edit a film strip of a pair over its curve. words: who is surprised; first: edited frame."""
    total, edits, scenes, rule = values["all"], values["edits"], values["scenes"], values["rule"]
    measure = {
        "nats": "Surprise is counted in nats: how unlikely the world held the next frame to be, given all before it.",
        "pixel error": "This world does not say how likely it holds a frame to be (it has no `surprise` of its own), so its surprise is the squared "
        "error of the frame it makes from the ones before. Figures in nats must not be laid beside these.",
        "a unit of its own": "Surprise is counted in what this world's `surprise` gives. Figures of other worlds must not be laid beside these.",
    }[values["measure"]]
    intro = (
        f"{values['n']} pairs of short clips, {values['pairs_per_edit_and_scene']} for each of {len(edits)} edits in each of {len(scenes)} "
        "scenes. The clips of a pair are the same up to a moment; then one goes on as it must and in the other something happens that "
        "cannot: a thing vanishes, jumps, goes through another, trades colours, falls upward. Counted are the pairs in which the world is more "
        "surprised by the impossible clip; guessing gives 50 %. A clip is as surprising as its most surprising frame in the "
        f"{values['scored']} from the edit on. " + measure
    )
    by_edit = [
        [_EDITS[kind], edits[kind]["world"][rule], *(values["cells"][kind][scene] for scene in scenes)]
        for kind in edits
    ]
    by_edit.append(["all edits", total["world"][rule], *(scenes[scene]["world"][rule] for scene in scenes)])
    beside = [
        [f"{words[name]}, {_RULES[key]}", total[name][key], *(edits[kind][name][key] for kind in edits)]
        for name in total
        for key in _RULES
    ]
    beside_note = (
        "One that expects the last frame again is surprised by all that moves, and much of what cannot happen also moves more: where it does as "
        "well as the world, the amount of change gives the edit away, and the world's figure is no proof of physics. The simulator is run again "
        f"without the edit, its velocities changed by 0.1 %: the best there is. It and the random networks are shown "
        f"{total['simulator'][rule]['n']} of the pairs. Random networks say their surprise as the world does, the other two by pixels."
    )
    return Section(
        "Surprise: does it notice what cannot happen?",
        values,
        timing,
        [
            (
                "More surprised by the impossible",
                show(total["world"][rule]["value"], "share"),
                f"last frame expected again {show(total['copy_last'][rule]['value'], 'share')}, guessing 50 %",
            )
        ],
        [
            Text(intro),
            Table(
                "Pairs in which the impossible surprises more",
                ["", "all scenes", *scenes],
                by_edit,
                "A tie counts half. The intervals come from redrawing the pairs; a single scene of one edit has few.",
                "share",
            ),
            Table(
                "Who else would notice",
                ["", "all edits", *(kind.replace("_", " ") for kind in edits)],
                beside,
                beside_note,
                "share",
            ),
            *(_figure(kind, values["curves"][kind], films[kind], values["measure"], first) for kind in edits),
        ],
    )


def _figure(kind: str, mean: dict[str, Any], shown: dict[str, Any], unit: str, first: int) -> Figure:
    """One pair of an edit, over its surprise and the mean of all pairs of that edit."""
    at = np.array(_FILM_AT)
    strip = film(
        [(name, clip[first + at]) for name, clip in zip(("possible", "impossible"), shown["clips"])],
        ["edit" if t == 0 else f"{t:+d}" for t in _FILM_AT],
    )
    since = np.arange(1, shown["clips"].shape[1]) - first
    lines = [
        Line(f"this pair, {name}", since, curve, dots=True)
        for name, curve in zip(("possible", "impossible"), shown["curves"])
    ]
    lines += [
        Line(f"all pairs, {name}", since, c["value"], c["low"], c["high"], dashed=True) for name, c in mean.items()
    ]
    return Figure(
        _EDITS[kind],
        strip + line_chart(lines, "frames since the edit", f"surprise ({unit})"),
        f"The first pair of the scene {shown['scene']}, not picked by hand. Dashed: the mean of all pairs of this edit, shaded its 95 % interval.",
    )
