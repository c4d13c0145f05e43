"""Several worlds, one page: each keeps its own report, and every figure stands beside its like."""

import json
from pathlib import Path

import pytest
from judge_worlds import CopyWorld, PerfectWorld

from worldling.errors import JudgeError
from worldling.judge import judge
from worldling.judge.report import About, Judgement
from worldling.judge.settings import Settings
from worldling.judge.side_by_side import judge_side_by_side, names_of, render
from worldling.report.sections import Headline, Section

SETTINGS = {"starts": 6, "horizons": (1, 2), "resamples": 20}


def test_two_worlds_are_laid_beside_each_other(squares, tmp_path):
    worlds = [PerfectWorld(squares), CopyWorld(squares)]
    report = judge_side_by_side(worlds, squares.path, tmp_path, ["fidelity"], True, **SETTINGS)
    names = names_of(worlds)
    assert list(report["worlds"]) == names and len(set(names)) == 2
    assert report["worlds"] == json.loads((tmp_path / "report.json").read_text())["worlds"]
    page = (tmp_path / "report.html").read_text()
    assert "http" not in page and "All figures" in page
    for name, world in zip(names, worlds, strict=True):
        alone = judge(world, squares.path, None, ["fidelity"], True, **SETTINGS)
        assert alone["suites"] == report["worlds"][name]["suites"]
        assert (tmp_path / name / "report.html").exists()
        assert alone["timing"]["headlines"]["fidelity"][0][1] in page


def test_a_figure_that_only_one_world_has_is_said_to_be_missing_for_the_other():
    def judgement(*lines):
        about = About("w", "b", "e", 64, None, ["one"], Settings())
        sections = {"one": Section("One", [Headline(*line) for line in lines])}
        return Judgement(about, {}, sections, None, "", "", 0.0)

    page = render(
        {"a": judgement(("shared", "1 %", "x")), "b": judgement(("shared", "2 %", "y"), ("alone", "3 %", "z"))}
    )
    assert page.count("not judged") == 1 and "3 % (z)" in page


def test_a_world_that_does_not_fit_is_named_before_any_is_judged(squares, tmp_path):
    worlds = [CopyWorld(squares), CopyWorld(squares, env_id="Circles-v0")]
    with pytest.raises(JudgeError, match="Circles-v0"):
        judge_side_by_side(worlds, squares.path, tmp_path / "out", ["fidelity"], True, **SETTINGS)
    assert not (tmp_path / "out").exists()


def test_a_world_is_called_by_its_folder_even_from_within(squares, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.chdir(folder)
    world = CopyWorld(squares)
    for path in (Path("."), folder, Path("../mine")):
        world.path = path
        assert names_of([world]) == ["mine"]
