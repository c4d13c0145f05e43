"""How the OCP suite's figures are shown to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldling.report.figures import film
from worldling.report.sections import Figure, Section, Table, Text, show


def page(
    values: dict[str, Any],
    films: dict[str, dict[str, np.ndarray]],
    words: dict[str, str],
    timing: dict[str, Any],
    film_at: Sequence[int],
) -> Section:
    """Lay out the tables and a film strip of every scene. words: what each condition is called."""
    mean, labels = values["mean"], values["labels"]
    scenes = list(values["scenes"])
    intro = (
        f"Shown {values['observed_frames']} frames (a quarter of a second) of a scene, will the red thing touch the yellow one within "
        f"two seconds? {values['trials_per_scene']} trials in each of {len(scenes)} scenes, in pairs that look the same in the first frame: one "
        "ends in contact, one does not, so guessing gives 50 %. The protocol is Physion's, the scenes are ours: these numbers are "
        "Physion-style and must not be laid beside Physion's."
    )
    rows, beyond = (_rows(part, words) for part in (values, values["outside"]))
    noise = values["noise"]["scenes"]
    set_aside = [
        [
            s,
            noise[s]["labelled"],
            noise[s]["flipped"],
            show(noise[s]["flipped"] / max(1, noise[s]["labelled"]), "share"),
            noise[s]["pairs"],
        ]
        for s in scenes
        if s in noise
    ]
    strips = "".join(
        film(
            [(f"{s}: truth", films[s]["truth"][list(film_at)]), ("dream", films[s]["dream"][list(film_at)])],
            [f"frame {i}" for i in film_at],
        )
        for s in scenes
    )
    return Section(
        "Contact: does the dream know what will touch what?",
        values,
        timing,
        [
            (
                "Contact predicted with the dream (B)",
                show(mean["B"]["value"], "share"),
                f"without it {show(mean['C']['value'], 'share')}, with the true future {show(mean['A']['value'], 'share')}",
            ),
            (
                "What simulation gains (B - C)",
                show(mean["B_minus_C"]["value"], "share"),
                f"{show(mean['B_minus_C']['low'], 'share')} to {show(mean['B_minus_C']['high'], 'share')}",
            ),
        ],
        [
            Text(intro),
            Table(
                "Share of trials answered rightly",
                ["readout fitted on", "all scenes", *scenes],
                rows,
                "Half of the trials end in contact. A is what the readout could know at best; C what can be told without simulating. "
                "With latents the readout is given what the world itself holds of some frames, and no reading of colours.",
                "share",
            ),
            Table(
                "The same, outside the range of training",
                ["readout fitted on", "all scenes", *scenes],
                beyond,
                f"{values['outside']['trials_per_scene']} trials a scene whose sizes, speeds, colours and cameras lie beyond those that worlds train on; "
                "the readouts are those above, fitted inside the range.",
                "share",
                folded=True,
            ),
            Figure(
                "Film strips: truth over dream",
                strips,
                "The first test trial of each scene; frame 3 is the last one shown.",
            ),
            Table(
                "Trials set aside",
                ["scene", "motions labelled", "set aside", "share", "pairs kept"],
                set_aside,
                f"Each motion was simulated {values['noise']['copies']} times more with its velocities changed by "
                f"{values['noise']['share'] * 100:g} %; where a copy answers otherwise the motion is not used. "
                f"{labels['agree']} of {labels['simulated_again']} trials simulated again from their seeds had their contact in the very same frame.",
                folded=True,
            ),
        ],
    )


def _rows(part: dict[str, Any], words: dict[str, str]) -> list[list[Any]]:
    """Lay out a row per readout, and after the third what simulation gains."""
    rows = [
        [word, part["mean"][name], *(scene[name] for scene in part["scenes"].values())] for name, word in words.items()
    ]
    rows.insert(
        3,
        [
            "B - C: what simulation gains",
            part["mean"]["B_minus_C"],
            *(scene["B_minus_C"] for scene in part["scenes"].values()),
        ],
    )
    return rows
