"""`worldling play` runs what the ladder of a world recommends, and nothing that a strange file points to."""

import json

import pytest

from worldling.compress.recommended import LADDER, recommended
from worldling.compress.run import identity_of
from worldling.machine import cpu_name
from worldling.world_files import load_world, save_world


@pytest.fixture
def folder(make_world, tmp_path):
    return save_world(make_world(clips=True), tmp_path / "w", half=False)


def write(folder, change=lambda ladder: None):
    """Write a ladder of four rows; change: is called with it before."""
    rows = [
        {"name": name, "within": within, "backend": backend, "folder": form, "speed": {"1": {"fps_p50": fps}}}
        for name, within, backend, form, fps in (
            ("dense fp32", True, "reference", None, 100.0),
            ("int8", True, "openvino-int8", None, 300.0),
            ("thin", True, "openvino-f32+delta=0.02", "ladder/thin", 400.0),
            ("thinner", False, "openvino-int8", "ladder/thinner", 900.0),
        )
    ]
    found = {
        "identity": identity_of(load_world(folder)),
        "target_drop": 0.9,
        "machine": {"cpu": cpu_name()},
        "rungs": rows,
    }
    change(found)
    (folder / LADDER).parent.mkdir(exist_ok=True)
    (folder / LADDER).write_text(json.dumps(found))


def test_the_fastest_form_within_the_bound_is_chosen(folder, make_world):
    assert recommended(folder) is None, "there is no ladder"
    save_world(make_world(clips=True, seed=3), folder / "ladder" / "ladder" / "thin")
    write(folder)
    best = recommended(folder)
    assert (best.folder, best.backend) == ((folder / "ladder" / "ladder" / "thin").resolve(), "openvino-f32+delta=0.02")
    assert best.about.startswith("thin: within 0.9 points by ")
    write(folder, lambda ladder: ladder["machine"].update(cpu="another"))
    assert recommended(folder).backend == "auto+delta=0.02", "what is fastest here is not known"
    write(folder, lambda ladder: ladder["rungs"].pop(2))
    assert (recommended(folder).folder, recommended(folder).backend) == (folder, "openvino-int8")


@pytest.mark.parametrize(
    "change",
    [
        lambda ladder: ladder.update(identity="0" * 32),
        lambda ladder: ladder.update(rungs=ladder["rungs"][:1]),
        lambda ladder: ladder.update(rungs=[{}, {}]),
        lambda ladder: ladder.update(rungs=3),
        lambda ladder: ladder["rungs"][2].update(folder="ladder/nothing"),
        lambda ladder: ladder["rungs"][2].update(folder="../../../elsewhere/w"),
        lambda ladder: ladder["rungs"][2].update(backend="shell"),
        lambda ladder: ladder["rungs"][2]["speed"]["1"].update(fps_p50=None),
    ],
)
def test_a_ladder_that_does_not_fit_recommends_nothing(folder, make_world, change):
    save_world(make_world(clips=True), folder.parent.parent / "elsewhere" / "w")
    write(folder, change)
    assert recommended(folder) is None


def test_play_says_what_it_plays(folder, monkeypatch, capsys):
    import worldling.serve.play
    from worldling.cli.commands import main

    write(folder, lambda ladder: ladder["rungs"][1].update(backend="reference") or ladder["rungs"].pop(2))
    played = []
    monkeypatch.setattr(worldling.serve.play, "play", lambda world, *rest: played.append((world.backend.name, rest[5])))
    assert main(["play", str(folder), "--no-browser"]) == 0
    assert played == [("reference", "reference")] and "playing int8: within 0.9 points" in capsys.readouterr().err
    assert main(["play", str(folder), "--no-browser", "--backend", "openvino-f32"]) == 0
    assert "playing" not in capsys.readouterr().err
