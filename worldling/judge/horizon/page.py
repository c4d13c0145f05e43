"""How the horizon suite's figures are shown to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from worldling.judge.horizon.alarm import AlarmResult, AlarmTiming
from worldling.judge.horizon.suite import ByHorizon, HorizonResult
from worldling.report.figures import Line, film, line_chart
from worldling.report.sections import Block, Cell, Figure, Headline, Measured, Section, Table, Text, show
from worldling.report.values import Curve

CONDITIONS = {
    "world": "the world",
    "simulator": "the simulator again, velocities perturbed",
    "others": "the simulator under other pushes",
    "reencoded": "true frames, encoded and decoded by the world",
    "copy_last": "last frame shown, repeated",
    "random_weights": "the same networks, random weights",
    "truth": "the truth, read the same way",
}
_COMPARED = ("world", "simulator", "others", "copy_last", "random_weights")
_HEADLINE_AT = 200


def page(result: HorizonResult) -> Section:
    """Lay out curves, tables and film strips."""
    blocks: list[Block] = [
        Text(_intro(result)),
        _curve(result),
        _permanence(result),
        _strips(result),
        _places(result),
        *_motions(result),
        _speeds(result),
        *_alarm(result.alarm, result.timing.alarm, _columns(result)),
    ]
    return Section("Horizon: what is left after a while?", _headlines(result), blocks)


def _intro(result: HorizonResult) -> str:
    furthest = result.horizons[-1]
    return (
        f"{result.n} long episodes, {result.episodes_per_scene} of each scene, in which the red thing is pushed about "
        "in bursts. Shown the first frames, the world predicts on under the same pushes for "
        f"{furthest:,} frames ({furthest / result.fps:.0f} seconds). Where things end up cannot be known for long: the "
        f"simulator itself, started again with its velocities changed by {result.perturbation * 100:g} %, ends "
        "elsewhere, and is the row to compare with; under other pushes it shows what a measure is worth where nothing "
        "is where it was. But things should not vanish, break or melt, motion should not die or run wild, and when it "
        "does an alarm should ring. A still picture loses nothing, so permanence counts for something only together "
        "with motion."
    )


def _columns(result: HorizonResult) -> list[str]:
    return ["frames ahead", *(f"{h:,}" for h in result.horizons)]


def _rows(table: Mapping[str, ByHorizon], names: Sequence[str]) -> list[list[Cell]]:
    return [[CONDITIONS[name], *table[name].values()] for name in names if name in table]


def _curve(result: HorizonResult) -> Figure:
    lines = []
    for name, words in CONDITIONS.items():
        if name != "truth" and name in result.permanence.kept:
            value, low, high = Curve.of(list(result.permanence.kept[name].both.values())).array(100.0)
            lines.append(Line(words, np.log10(result.horizons), value, low, high, dashed=name != "world", dots=True))
    return Figure(
        "Things that are still there",
        line_chart(lines, "frames ahead, as a power of ten (0: 1, 1: 10, 2: 100, 3: 1,000)", "share of things (%)"),
        "Of the red and yellow things that should be in the picture, how many are there, in one piece and of sensible "
        "size.",
    )


def _permanence(result: HorizonResult) -> Table:
    kept = result.permanence.kept
    world = kept["world"]
    rows = _rows({name: found.both for name, found in kept.items()}, [n for n in CONDITIONS if n != "truth"])
    rows += [["the world, red only", *world.red.values()], ["the world, yellow only", *world.yellow.values()]]
    rows.append(["n", *(found.n for found in world.both.values())])
    rows.append(["the reader finds it in the true frame", *result.permanence.read_in_truth.values()])
    return Table(
        "Object permanence",
        _columns(result),
        rows,
        f"A thing is {result.permanence.definition}. n: things that should be there. The last row: of the things the "
        "simulator shows, how many pass in the true frame; the others are not counted.",
        "share",
    )


def _strips(result: HorizonResult) -> Figure:
    heads = ["shown", *(f"{h:,}" for h in result.horizons)]
    drawing = "".join(
        film([(f"{scene}: truth", pair["truth"]), ("predicted", pair["world"])], heads)
        for scene, pair in result.strips.items()
    )
    note = "The first episode of every scene, chosen by the seed, at the horizons."
    return Figure("Film strips: truth above prediction", drawing, note)


def _places(result: HorizonResult) -> Table:
    rows: list[list[Cell]] = []
    for name, words in CONDITIONS.items():
        if name in result.place_error:
            errors = result.place_error[name]
            rows.append([f"{words}, median", *errors.median.values()])
            rows.append([f"{words}, 9 in 10 below", *errors.p90.values()])
    return Table(
        "How far things are from where they really are",
        _columns(result),
        rows,
        "Distance of the centres of red and yellow from the simulator's, in % of the picture's side, where they are "
        "seen in both. The truth's row is the reader's own error: it goes by colour, the simulator by shape.",
        "%",
    )


def _motions(result: HorizonResult) -> list[Table]:
    motion = result.motion
    spatial = motion.spatial_iou, motion.spatial_iou_of_simulator
    both = motion.spatiotemporal_iou, motion.spatiotemporal_iou_of_simulator
    return [
        _motion_table(result, "Where motion happens", *spatial, False),
        _motion_table(result, "Where and when motion happens", *both, True),
    ]


def _motion_table(
    result: HorizonResult,
    title: str,
    overlap: Mapping[str, ByHorizon],
    of_simulator: Mapping[str, ByHorizon],
    folded: bool,
) -> Table:
    rows = _rows(overlap, _COMPARED)
    rows.append(["the world, as a share of the perturbed simulator", *of_simulator["world"].values()])
    rows.append(["n", *(found.n for found in overlap["world"].values())])
    return Table(
        title,
        _columns(result),
        rows,
        f"Overlap (intersection over union) of the pixels that move in the {result.window} frames up to the horizon, "
        "prediction against truth; 1 is right, 0 is elsewhere or not at all. Masks and measure as in Physics-IQ, the "
        "scenes are ours: not its numbers. n: episodes in which anything moves in either.",
        folded=folded,
    )


def _speeds(result: HorizonResult) -> Table:
    rows = _rows(result.kinetic, _COMPARED)
    joules = [Measured(found, "J") for found in result.energy_joules.values()]
    rows.append(["the truth's energy by the simulator, joules", *joules])
    return Table(
        "Energy, as far as pictures show it",
        _columns(result),
        rows,
        "A prediction has no joules. What can be read of it is the mean squared speed of red and yellow across the "
        f"picture in the {result.window} frames up to the horizon, here over the truth's: 1 is right, 0 has come to "
        "rest, more is too lively. Mass, height and depth are not in it.",
    )


def _alarm(alarm: AlarmResult, timing: AlarmTiming, columns: Sequence[str]) -> list[Block]:
    return [
        Text(_alarm_text(alarm, timing)),
        _false_alarms(alarm),
        Table(
            "Spoilt real frames",
            ["fault", "frames that ring"],
            [[words, share] for words, share in alarm.faults.items()],
            "Things are filled with the floor's colour where they are visible.",
            "share",
        ),
        _alarm_on_rollouts(alarm, columns),
    ]


def _alarm_text(alarm: AlarmResult, timing: AlarmTiming) -> str:
    kept = (
        "It is kept beside the world: worldling play WORLD --alarm."
        if timing.alarm_kept
        else "It was not kept: the world has no folder that can be written, or an alarm learnt from more scenes is "
        "there."
    )
    rate = show(alarm.rate, "share")
    promise = (
        f"is set to ring on at most {rate} of them"
        if alarm.promised
        else f"rings where they never strayed (of so few nothing can be promised; with all scenes, on at most {rate})"
    )
    return (
        "The drift alarm looks at colours and edges of every frame and compares them with the start. It learnt from "
        f"{alarm.fitted_on:,} real frames what real scenes do, and {promise}. It does not know what a thing is: what "
        "real scenes do too, such as a cloth that hides the yellow thing, cannot ring, nor can a roll-out that stands "
        f"still where real scenes come to rest. One look takes {timing.look_ms:.2f} ms here, "
        f"{timing.look_share * 100:.1f} % of a frame made alone. {kept}"
    )


def _false_alarms(alarm: AlarmResult) -> Table:
    false, spans = alarm.false_alarms, alarm.spans
    return Table(
        "False alarms",
        ["real frames that were not learnt from", "frames that ring"],
        [
            ["all", false.all],
            [f"up to {spans.held_out:,} frames after the start", false.held_out],
            [f"the long true episodes, up to {spans.long:,} frames", false.long],
            ["the first kind as recorded, neither encoded nor decoded", false.as_they_are],
        ],
        "Real frames encoded and decoded by the world, except in the last row. Intervals over episodes.",
        "share",
    )


def _alarm_on_rollouts(alarm: AlarmResult, columns: Sequence[str]) -> Table:
    words = {
        "lost": "roll-outs that have lost a thing",
        "rings_where_lost": "of these: rings",
        "rings_where_whole": "of those that have not: rings",
        "rings_world": "rings, all roll-outs",
        "rings_simulator": "rings on the perturbed simulator",
        "rings_random_weights": "rings on random weights",
    }
    rows: list[list[Cell]] = [
        [text, *alarm.rollouts[key].values()] for key, text in words.items() if key in alarm.rollouts
    ]
    recall, precision = (show(found.value, "share") for found in (alarm.recall, alarm.precision))
    return Table(
        "The alarm on roll-outs",
        columns,
        rows,
        f"Over all horizons: of the frames in which a thing is lost {recall} ring (n {alarm.recall.n}), and of those "
        f"that ring {precision} have lost a thing (n {alarm.precision.n}).",
        "share",
    )


def _headlines(result: HorizonResult) -> list[Headline]:
    kept, alarm = result.permanence.kept, result.alarm
    at = _HEADLINE_AT if _HEADLINE_AT in result.horizons else result.horizons[-1]
    return [
        Headline(
            f"Things still there after {at} frames",
            show(kept["world"].both[at].value, "share"),
            f"the simulator again: {show(kept['simulator'].both[at].value, 'share')}",
        ),
        Headline(
            "Drift alarm's false alarms",
            show(alarm.false_alarms.all.value, "share"),
            f"rings on {show(alarm.recall.value, 'share')} of the frames that lost a thing",
        ),
    ]
