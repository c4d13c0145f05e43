"""How the figures of the physion suite are shown to people."""

from __future__ import annotations

from typing import Any

import numpy as np

from worldling.data.formats.physion import PHYSION
from worldling.report.figures import film
from worldling.report.sections import Figure, Section, Table, Text, show

#: Below this share of stimuli whose red and yellow are found, the colour reader is not to be trusted.
READABLE = 0.9


def page(
    values: dict[str, Any], films: dict[str, dict[str, np.ndarray]], words: dict[str, str], timing: dict[str, Any]
) -> Section:
    """Lay out the tables and a film strip of every scenario. words: what each condition is called."""
    mean, scenarios = values["mean"], values["scenarios"]
    columns = [mean, *scenarios.values()]
    rows = [[word, *(column[name] for column in columns)] for name, word in words.items()]
    rows.insert(3, ["B - C: what simulation gains", *(column["B_minus_C"] for column in columns)])
    rows.append(["B - C from latents", *(column["B_minus_C_latent"] for column in columns)])
    rows.append(["always the commoner answer", *(show(column["majority"], "share") for column in columns)])
    counts = [
        ["stimuli", *(column["stimuli"] for column in columns)],
        ["of them with contact", *(show(column["contact"], "share") for column in columns)],
        ["contact already while shown", *(column["contact_while_shown"] for column in columns)],
        ["contact only after the end of what is looked at", *(column["contact_after_the_end"] for column in columns)],
    ]
    at = np.unique(
        np.concatenate(
            [[0, values["shown_frames"] - 1], np.linspace(values["shown_frames"], values["frames"] - 1, 6).astype(int)]
        )
    )
    strips = "".join(
        film(
            [(f"{name}: truth", films[name]["truth"][at]), ("dream", films[name]["dream"][at])],
            [f"frame {i}" for i in at],
        )
        for name in scenarios
    )
    heads = ["all stimuli", *scenarios]
    return Section(
        "Physion-style: contact on Physion's own stimuli, judged by our readout",
        values,
        timing,
        [
            (
                "Physion-style, on Physion's stimuli: contact predicted with the dream (B)",
                show(mean["B"]["value"], "share"),
                f"without it {show(mean['C']['value'], 'share')}, always the commoner answer {show(mean['majority'], 'share')}",
            ),
            (
                "Physion-style, from latents (B)",
                show(mean["B_latent"]["value"], "share"),
                f"without the dream {show(mean['C_latent']['value'], 'share')}",
            ),
        ],
        [
            Text(_intro(values, len(scenarios))),
            *(Text(text, warning=True) for text in _warnings(values)),
            Table(
                "Share of stimuli answered rightly",
                ["readout fitted on", *heads],
                rows,
                "Each readout is fitted on four fifths of a scenario's stimuli and tested on the others, five times round. A is what the "
                "readout could know at best and stands for the true simulator, which is not at hand; C is what can be told without simulating.",
                "share",
            ),
            Figure(
                "Film strips: truth over dream",
                strips,
                f"The first stimulus of each scenario; frame {values['shown_frames'] - 1} is the last one shown.",
            ),
            Table("What these stimuli are like", ["", *heads], counts, folded=True),
        ],
    )


def _intro(values: dict[str, Any], scenarios: int) -> str:
    shown, total = (values[name] * values["frame_ms"] / 1000 for name in ("shown_frames", "frames"))
    return (
        f"Shown the first {shown:.2g} seconds of a scene of the Physion benchmark, will the red thing touch the yellow one? "
        f"{values['n']} of Physion's own stimuli from {scenarios} scenario{'s' if scenarios > 1 else ''} are asked about; the world sees that much of "
        f"each and dreams on to {total:.2g} s. The stimuli are Physion's and the readout is ours: published Physion numbers used other readouts, other "
        "training and other splits, so these are Physion-style and must not be laid beside them. They have nothing to do with the "
        "figures of our own scenes either, and are counted apart."
    )


def _warnings(values: dict[str, Any]) -> list[str]:
    """What a reader must know before believing the table."""
    warnings = [
        "Red and yellow are read by the rules made for our own scenes, which were never tried on the real Physion files: both are found in "
        f"{show(values['visible'], 'share')} of the first frames here."
        + (" That is too few to trust; only the lines from latents do without." if values["visible"] < READABLE else "")
    ]
    if values["held_out"] is False:
        warnings.append("The world was trained on these very stimuli. Import others for a fair judgement.")
    if values["trained_on"] != PHYSION:
        warnings.append(f"The world was trained on {values['trained_on']} and has never seen such pictures.")
    ours, theirs = values["world_frame_ms"], values["frame_ms"]
    if ours is not None and abs(ours - theirs) > 0.05 * theirs:
        warnings.append(
            f"A frame of the world is {ours:.3g} ms and one of these stimuli {theirs:.3g} ms: its dreams run at another speed."
        )
    if values["left_out"]:
        warnings.append(f"Left out, because either answer must be there ten times: {', '.join(values['left_out'])}.")
    return warnings
