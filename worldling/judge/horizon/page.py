"""How the horizon suite's figures are shown to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldling.report.figures import Line, film, line_chart
from worldling.report.sections import Figure, Section, Table, Text, show

WORDS = {
    "world": "the world",
    "simulator": "the simulator again, jolted",
    "others": "the simulator under other pushes",
    "reencoded": "true frames, encoded and decoded by the world",
    "copy_last": "the last frame shown, held still",
    "broken": "broken world (random weights)",
    "truth": "the truth, read the same way",
}
_HEADLINE_AT = 200


def page(values: dict[str, Any], timing: dict[str, Any], strips: dict[str, dict[str, np.ndarray]]) -> Section:
    """Lay out curves, tables and film strips. strips: films `[horizons + 1, H, W, 3]` of truth and world by scene."""
    horizons = values["horizons"]
    columns = [f"{h:,}" for h in horizons]
    names = [name for name in WORDS if name in values["permanence"]["kept"]]
    intro = (
        f"{values['n']} long episodes, {values['episodes_per_scene']} of each scene, in which a hand pushes the red thing about in bursts. Shown "
        f"the first frames, the world dreams on under the same pushes for {horizons[-1]:,} frames ({horizons[-1] / values['fps']:.0f} seconds). Where things "
        "end up cannot be known for long: the simulator itself, started again with its velocities changed by "
        f"{values['jolt'] * 100:g} %, ends elsewhere, and is the row to compare with; under other pushes it shows what a measure is worth where nothing is where it was. But things should not vanish, break or melt, motion "
        "should not die or run wild, and when it does an alarm should ring. A still picture loses nothing, so permanence "
        "counts for something only together with motion."
    )
    blocks: list[Any] = [
        Text(intro),
        _curve(values, names),
        _permanence(values, names, columns),
        _strips(strips, horizons),
        _places(values, columns),
        *_motions(values, columns),
        _speeds(values, columns),
        *_alarm(values["alarm"], timing, columns),
    ]
    return Section("Horizon: what is left after a while?", values, timing, _headlines(values), blocks)


def _rows(table: dict[str, dict[int, Any]], names: Sequence[str]) -> list[list[Any]]:
    return [[WORDS[name], *table[name].values()] for name in names if name in table]


def _curve(values: dict[str, Any], names: Sequence[str]) -> Figure:
    horizons, lines = values["horizons"], []
    for name in names:
        if name == "truth":
            continue
        points = [values["permanence"]["kept"][name]["both"][h] for h in horizons]
        y, low, high = (
            [np.nan if p[key] is None else 100.0 * p[key] for p in points] for key in ("value", "low", "high")
        )
        lines.append(Line(WORDS[name], np.log10(horizons), y, low, high, dashed=name != "world", dots=True))
    return Figure(
        "Things that are still there",
        line_chart(lines, "frames ahead, as a power of ten (0: 1, 1: 10, 2: 100, 3: 1,000)", "share of things (%)"),
        "Of the red and yellow things that should be in the picture, how many are there, in one piece and of sensible size.",
    )


def _permanence(values: dict[str, Any], names: Sequence[str], columns: Sequence[str]) -> Table:
    kept = values["permanence"]["kept"]
    rows = _rows({name: kept[name]["both"] for name in names}, [name for name in names if name != "truth"])
    rows += [[f"the world, {thing} only", *kept["world"][thing].values()] for thing in ("red", "yellow")]
    rows.append(["n", *(p["n"] for p in kept["world"]["both"].values())])
    rows.append(["the reader finds it in the true frame", *values["permanence"]["read_in_truth"].values()])
    return Table(
        "Object permanence",
        ["frames ahead", *columns],
        rows,
        f"A thing is {values['permanence']['definition']}. n: things that should be there. The last row: of the things the engine shows, how many "
        "pass in the true frame; the others are not counted.",
        "share",
    )


def _strips(strips: dict[str, dict[str, np.ndarray]], horizons: Sequence[int]) -> Figure:
    heads = ["shown", *(f"{h:,}" for h in horizons)]
    drawing = "".join(
        film([(f"{scene}: truth", pair["truth"]), ("dream", pair["world"])], heads) for scene, pair in strips.items()
    )
    return Figure(
        "Film strips: truth over dream",
        drawing,
        "The first episode of every scene, chosen by the seed, at the horizons.",
    )


def _places(values: dict[str, Any], columns: Sequence[str]) -> Table:
    rows = []
    for name in WORDS:
        if name in values["place_error"]:
            for key, words in (("median", "median"), ("p90", "9 in 10 below")):
                rows.append([f"{WORDS[name]}, {words}", *values["place_error"][name][key].values()])
    return Table(
        "How far things are from where they really are",
        ["frames ahead", *columns],
        rows,
        "Distance of the centres of red and yellow from the engine's, in % of the picture's side, where they are seen in both. "
        "The truth's row is the reader's own error: it goes by colour, the engine by shape.",
        "%",
    )


def _motions(values: dict[str, Any], columns: Sequence[str]) -> list[Table]:
    motion = values["motion"]
    tables = []
    for key, title, folded in (
        ("spatial_iou", "Where motion happens", False),
        ("spatiotemporal_iou", "Where and when motion happens", True),
    ):
        of = motion[f"{key}_of_simulator"]
        rows = _rows(motion[key], ("world", "simulator", "others", "copy_last", "broken"))
        rows.append(["the world, as a share of the jolted simulator", *of["world"].values()])
        rows.append(["n", *(p["n"] for p in motion[key]["world"].values())])
        tables.append(
            Table(
                title,
                ["frames ahead", *columns],
                rows,
                f"Overlap (intersection over union) of the pixels that move in the {values['window']} frames up to the horizon, dream against truth; 1 is "
                "right, 0 is elsewhere or not at all. Masks and measure as in Physics-IQ, the scenes are ours: not its numbers. n: episodes in "
                "which anything moves in either.",
                folded=folded,
            )
        )
    return tables


def _speeds(values: dict[str, Any], columns: Sequence[str]) -> Table:
    rows = _rows(values["kinetic"], ("world", "simulator", "others", "copy_last", "broken"))
    rows.append(
        ["the truth's energy by the engine, joules", *({**p, "unit": "J"} for p in values["energy_joules"].values())]
    )
    return Table(
        "Energy, as far as pictures show it",
        ["frames ahead", *columns],
        rows,
        "A dream has no joules. What can be read of it is the mean squared speed of red and yellow across the picture in the "
        f"{values['window']} frames up to the horizon, here over the truth's: 1 is right, 0 has come to rest, more is too lively. Mass, "
        "height and depth are not in it.",
    )


def _alarm(alarm: dict[str, Any], timing: dict[str, Any], columns: Sequence[str]) -> list[Any]:
    dreams = alarm["dreams"]
    rows = [
        [words, *dreams[key].values()]
        for key, words in (
            ("lost", "dreams that have lost a thing"),
            ("rings_where_lost", "of these: rings"),
            ("rings_where_whole", "of those that have not: rings"),
            ("rings_world", "rings, all dreams"),
            ("rings_simulator", "rings on the jolted simulator"),
            ("rings_broken", "rings on the broken world"),
        )
        if key in dreams
    ]
    false, spans = alarm["false_alarms"], alarm["spans"]
    cost = f"One look takes {timing['look_ms']:.2f} ms here, {timing['look_share'] * 100:.1f} % of a frame made alone. "
    kept = (
        "It is kept beside the world: worldling play WORLD --alarm."
        if timing["alarm_kept"]
        else (
            "It was not kept: the world has no folder that can be written, or an alarm learnt from more scenes is there."
        )
    )
    promise = (
        f"is set to ring on at most {show(alarm['rate'], 'share')} of them"
        if alarm["promised"]
        else (
            f"rings where they never strayed (of so few nothing can be promised; with all scenes, on at most {show(alarm['rate'], 'share')})"
        )
    )
    return [
        Text(
            f"The drift alarm looks at colours and edges of every frame and compares them with the start. It learnt from {alarm['fitted_on']:,} real frames "
            f"what real scenes do, and {promise}. It does not know what a thing is: what real scenes do too, such as "
            "a cloth that hides the yellow thing, cannot ring, nor can a dream that stands still where real scenes come to rest. "
            f"{cost}{kept}"
        ),
        Table(
            "False alarms",
            ["real frames that were not learnt from", "frames that ring"],
            [
                ["all", false["all"]],
                [f"up to {spans['held_out']:,} frames after the start", false["held_out"]],
                [f"the long true episodes, up to {spans['long']:,} frames", false["long"]],
                ["the first kind as the camera took them, not as the world draws them", false["as_they_are"]],
            ],
            "Real frames as the world draws them (encoded and decoded), except in the last row. Intervals over episodes.",
            "share",
        ),
        Table(
            "Faults made on purpose in real frames",
            ["fault", "frames that ring"],
            [[words, share] for words, share in alarm["faults"].items()],
            "Things are painted over with the floor's colour where they are visible.",
            "share",
        ),
        Table(
            "The alarm on dreams",
            ["frames ahead", *columns],
            rows,
            f"Over all horizons: of the frames in which a thing is lost {show(alarm['recall']['value'], 'share')} ring (n {alarm['recall']['n']}), and of those "
            f"that ring {show(alarm['precision']['value'], 'share')} have lost a thing (n {alarm['precision']['n']}).",
            "share",
        ),
    ]


def _headlines(values: dict[str, Any]) -> list[tuple[str, str, str]]:
    kept, at = values["permanence"]["kept"], _HEADLINE_AT
    if at not in values["horizons"]:
        at = values["horizons"][-1]
    false = values["alarm"]["false_alarms"]["all"]
    return [
        (
            f"Things still there after {at} frames",
            show(kept["world"]["both"][at]["value"], "share"),
            f"the simulator again: {show(kept['simulator']['both'][at]['value'], 'share')}",
        ),
        (
            "Drift alarm's false alarms",
            show(false["value"], "share"),
            f"rings on {show(values['alarm']['recall']['value'], 'share')} of the frames that lost a thing",
        ),
    ]
