"""The page of a judgement: the sections of its suites, and how they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from worldling.judge.report import About, Judgement
from worldling.report.page import page_html


def judgement_html(judgement: Judgement) -> str:
    """Return a judgement as one HTML page."""
    about = judgement.about
    warning = ""
    if about.data and about.data.held_out is False:
        warning = (
            "These data have the seed of the training data: the world may have seen them. "
            "Record others for a fair judgement."
        )
    sections = list(judgement.sections.values())
    return page_html(f"{about.world}, judged", _intro(about), sections, _facts(judgement), warning)


def _intro(about: About) -> str:
    real = (
        f"real recordings ({about.data.frames:,} frames in {about.data.episodes} episodes)"
        if about.data
        else "what really happens"
    )
    return (
        f"A world model predicts {about.env_id} at {about.size_px} px, and is compared with {real}. The small numbers "
        "under a figure are its 95 % confidence interval."
    )


def _facts(judgement: Judgement) -> list[tuple[str, str]]:
    about = judgement.about
    held_out = {
        True: "yes: another seed than the training data's",
        False: "no: the same seed, and so the same scenes, as the training data",
        None: "not known: the world's card does not say",
    }
    recorded = (
        [
            ("Data", f"{about.data.path} (policy {about.data.policy}, seed {about.data.seed})"),
            ("Held out", held_out[about.data.held_out]),
        ]
        if about.data
        else []
    )
    settings = [(field.name, getattr(about.settings, field.name)) for field in fields(about.settings)]
    return [
        ("World", f"{about.world}, run by {about.backend}"),
        *recorded,
        ("Settings", ", ".join(f"{name} {_listed(value)}" for name, value in settings)),
        ("Made", f"{judgement.date} on {judgement.machine}, {judgement.seconds:.0f} s"),
        (
            "Again",
            "The same world, data, settings and backend give the same report.json, except for its timing section.",
        ),
    ]


def _listed(value: object) -> str:
    return "/".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
