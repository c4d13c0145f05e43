"""How the OCP suite's figures are shown to people."""

from __future__ import annotations

from collections.abc import Mapping

from worldling.judge.measures.contact import CONDITIONS
from worldling.judge.ocp.suite import ByReadout, OcpResult
from worldling.report.figures import film
from worldling.report.sections import Block, Cell, Figure, Headline, Section, Table, Text, show

_FILM_AT = [3, 5, 7, 9, 11, 14, 18, 25]


def page(result: OcpResult) -> Section:
    """Lay out the tables and a film strip of every scene."""
    scenes = list(result.scenes)
    intro = (
        f"Shown {result.observed_frames} frames (a quarter of a second) of a scene, will the red thing touch the "
        f"yellow one within two seconds? {result.trials_per_scene} trials in each of {len(scenes)} scenes, in pairs "
        "that look the same in the first frame: one ends in contact, one does not, so guessing gives 50 %. The "
        "protocol is Physion's, the scenes are ours: these numbers are Physion-style and must not be compared with "
        "Physion's."
    )
    headings = ["readout fitted on", "all scenes", *scenes]
    blocks: list[Block] = [
        Text(intro),
        Table(
            "Share of trials answered rightly",
            headings,
            _rows(result.mean, result.scenes),
            "Half of the trials end in contact. A is what the readout could know at best; C what can be told without "
            "simulating. With latents the readout is given what the world itself holds of some frames, and no reading "
            "of colours.",
            "share",
        ),
        Table(
            "The same, outside the range of training",
            headings,
            _rows(result.outside.mean, result.outside.scenes),
            f"{result.outside.trials_per_scene} trials a scene whose sizes, speeds, colours and cameras lie beyond "
            "those that worlds train on; the readouts are those above, fitted inside the range.",
            "share",
            folded=True,
        ),
        _films(result),
        _set_aside(result),
    ]
    return Section("Contact: does the world know what will touch what?", _headlines(result), blocks)


def _headlines(result: OcpResult) -> list[Headline]:
    mean, gain = result.mean, result.mean["B_minus_C"]
    return [
        Headline(
            "Contact predicted with the roll-out (B)",
            show(mean["B"].value, "share"),
            f"without it {show(mean['C'].value, 'share')}, with the true future {show(mean['A'].value, 'share')}",
        ),
        Headline(
            "What simulation gains (B - C)",
            show(gain.value, "share"),
            f"{show(gain.low, 'share')} to {show(gain.high, 'share')}",
        ),
    ]


def _rows(mean: ByReadout, scenes: Mapping[str, ByReadout]) -> list[list[Cell]]:
    """Lay out a row per readout, and after the third what simulation gains."""
    names = list(CONDITIONS.items())
    names.insert(3, ("B_minus_C", "B - C: what simulation gains"))
    return [[words, mean[name], *(scene[name] for scene in scenes.values())] for name, words in names]


def _films(result: OcpResult) -> Figure:
    columns = [f"frame {i}" for i in _FILM_AT]
    strips = "".join(
        film([(f"{scene}: truth", films["truth"][_FILM_AT]), ("predicted", films["world"][_FILM_AT])], columns)
        for scene, films in result.films.items()
    )
    note = "The first test trial of each scene; frame 3 is the last one shown."
    return Figure("Film strips: truth above prediction", strips, note)


def _set_aside(result: OcpResult) -> Table:
    noise, labels = result.noise, result.labels
    rows: list[list[Cell]] = []
    for scene, tally in noise.scenes.items():
        share = show(tally["flipped"] / max(1, tally["labelled"]), "share")
        rows.append([scene, tally["labelled"], tally["flipped"], share, tally["pairs"]])
    return Table(
        "Trials set aside",
        ["scene", "motions labelled", "set aside", "share", "pairs kept"],
        rows,
        f"Each motion was simulated {noise.copies} times more with its velocities changed by {noise.share * 100:g} %; "
        f"where a copy answers otherwise the motion is not used. {labels.agree} of {labels.simulated_again} trials "
        "simulated again from their seeds had their contact in the very same frame.",
        folded=True,
    )
