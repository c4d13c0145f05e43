"""How the figures of the physion suite are shown to people."""

from __future__ import annotations

import numpy as np

from worldling.data.formats.physion import PHYSION
from worldling.judge.physion.suite import READOUTS, PhysionResult
from worldling.report.figures import film
from worldling.report.sections import Block, Cell, Figure, Headline, Section, Table, Text, show

#: Below this share of stimuli whose red and yellow are found, the colour reader is not to be trusted.
READABLE = 0.9


def page(result: PhysionResult) -> Section:
    """Lay out the tables and a film strip of every scenario."""
    heads = ["all stimuli", *result.scenarios]
    blocks: list[Block] = [
        Text(_intro(result)),
        *(Text(text, warning=True) for text in _warnings(result)),
        Table(
            "Share of stimuli answered rightly",
            ["readout fitted on", *heads],
            _answered(result),
            "Each readout is fitted on four fifths of a scenario's stimuli and tested on the others, five times round. "
            "A is what the readout could know at best and stands for the true simulator, which is not at hand; C is "
            "what can be told without simulating.",
            "share",
        ),
        _films(result),
        Table("What these stimuli are like", ["", *heads], _stimuli(result), folded=True),
    ]
    title = "Physion-style: contact on Physion's own stimuli, judged by our readout"
    return Section(title, _headlines(result), blocks)


def _headlines(result: PhysionResult) -> list[Headline]:
    right, majority = result.mean.right, show(result.mean.majority, "share")
    return [
        Headline(
            "Physion-style, on Physion's stimuli: contact predicted with the roll-out (B)",
            show(right["B"].value, "share"),
            f"without it {show(right['C'].value, 'share')}, always the commoner answer {majority}",
        ),
        Headline(
            "Physion-style, from latents (B)",
            show(right["B_latent"].value, "share"),
            f"without the roll-out {show(right['C_latent'].value, 'share')}",
        ),
    ]


def _answered(result: PhysionResult) -> list[list[Cell]]:
    columns = [result.mean, *result.scenarios.values()]
    names = [(name, words) for name, words in READOUTS.items() if name in result.mean.right]
    names.insert(3, ("B_minus_C", "B - C: what simulation gains"))
    names.append(("B_minus_C_latent", "B - C from latents"))
    rows: list[list[Cell]] = [[words, *(column.right[name] for column in columns)] for name, words in names]
    return [*rows, ["always the commoner answer", *(show(column.majority, "share") for column in columns)]]


def _stimuli(result: PhysionResult) -> list[list[Cell]]:
    columns = [result.mean, *result.scenarios.values()]
    return [
        ["stimuli", *(column.stimuli for column in columns)],
        ["of them with contact", *(show(column.contact, "share") for column in columns)],
        ["contact already while shown", *(column.contact_while_shown for column in columns)],
        ["contact only after the end of what is looked at", *(column.contact_after_the_end for column in columns)],
    ]


def _films(result: PhysionResult) -> Figure:
    last, total = result.shown_frames - 1, result.frames
    at = np.unique(np.concatenate([[0, last], np.linspace(last + 1, total - 1, 6).astype(int)]))
    strips = "".join(
        film([(f"{name}: truth", films["truth"][at]), ("predicted", films["world"][at])], [f"frame {i}" for i in at])
        for name, films in result.films.items()
    )
    note = f"The first stimulus of each scenario; frame {last} is the last one shown."
    return Figure("Film strips: truth above prediction", strips, note)


def _intro(result: PhysionResult) -> str:
    shown, total = (frames * result.frame_ms / 1000 for frames in (result.shown_frames, result.frames))
    scenarios = len(result.scenarios)
    return (
        f"Shown the first {shown:.2g} seconds of a scene of the Physion benchmark, will the red thing touch the yellow "
        f"one? {result.n} of Physion's own stimuli from {scenarios} scenario{'s' if scenarios > 1 else ''} are asked "
        f"about; the world sees that much of each and predicts up to {total:.2g} s. The stimuli are Physion's and the "
        "readout is ours: published Physion numbers used other readouts, other training and other splits, so these are "
        "Physion-style and must not be compared with them. They have nothing to do with the figures of our own scenes "
        "either, and are counted apart."
    )


def _warnings(result: PhysionResult) -> list[str]:
    """What a reader must know before believing the table."""
    few = " That is too few to trust; only the lines from latents do without." if result.visible < READABLE else ""
    warnings = [
        "Red and yellow are read by the rules made for our own scenes, which were never tried on the real Physion "
        f"files: both are found in {show(result.visible, 'share')} of the first frames here.{few}"
    ]
    if result.held_out is False:
        warnings.append("The world was trained on these very stimuli. Import others for a fair judgement.")
    if result.trained_on != PHYSION:
        warnings.append(f"The world was trained on {result.trained_on} and has never seen such pictures.")
    ours, theirs = result.world_frame_ms, result.frame_ms
    if ours is not None and abs(ours - theirs) > 0.05 * theirs:
        warnings.append(
            f"A frame of the world is {ours:.3g} ms and one of these stimuli {theirs:.3g} ms: it predicts at another "
            "speed."
        )
    if result.left_out:
        warnings.append(f"Left out, because either answer must be there ten times: {', '.join(result.left_out)}.")
    return warnings
