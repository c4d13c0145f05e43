import json
import re
import sys
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
from judge_worlds import BlackWorld, CopyWorld, InterruptedWorld, NoisyWorld, PerfectWorld, write_squares

from worldling.cli import build_parser
from worldling.errors import JudgeError
from worldling.judge import SUITES, judge
from worldling.judge.case import Case
from worldling.judge.fidelity.suite import run
from worldling.judge.judgement import headlines, suites_for
from worldling.judge.needs import NEEDS
from worldling.judge.registry import Suite
from worldling.judge.results import Elapsed, SuiteResult
from worldling.judge.settings import Settings
from worldling.report.sections import Headline, Section
from worldling.types import ActionSpace

QUICK = dict(starts=24, horizons=(1, 5, 10), rollouts=4, lengths=(30, 60), quiet=True)


@dataclass(frozen=True, kw_only=True)
class Counted(SuiteResult):
    """What a suite that only counts returns."""

    frames: int


@pytest.fixture(scope="module")
def copied(squares):
    return judge(CopyWorld(squares), squares.path, **QUICK)


def test_a_copying_world_equals_the_copy_baseline(copied):
    fidelity = copied["suites"]["fidelity"]
    assert fidelity["psnr_db"]["world"] == fidelity["psnr_db"]["copy_last"], "same frames, same figure"
    assert all(lead["value"] == 0 for lead in fidelity["lead_db"]["copy_last"].values()), "no lead over itself"
    assert all(loss["value"] == 0 for loss in fidelity["lead_db"]["shuffled_actions"].values()), "deaf to actions"
    scores = fidelity["state"]["scores"]["centre_within_5pct"]
    assert scores["world"] == scores["copy_last"], "the readers agree"


def test_a_copying_world_is_frozen(copied):
    for row in copied["suites"]["stability"]["lengths"].values():
        assert row["frozen"]["value"] == row["bad_at_end"]["value"] == 1.0 and row["motion_ratio"]["value"] == 0.0, row
        assert row["not_a_number"]["value"] == 0.0, row


def test_a_perfect_world_reaches_every_limit(squares):
    found = judge(PerfectWorld(squares), squares.path, suites=("fidelity",), **QUICK)["suites"]["fidelity"]
    for horizon, figure in found["psnr_db"]["world"].items():
        assert np.isclose(figure["value"], found["psnr_limit_db"], atol=1e-3), horizon
        assert found["ssim"]["world"][horizon]["value"] == pytest.approx(1.0), horizon
        assert found["lead_db"]["shuffled_actions"][horizon]["low"] > 5, "wrong actions cost much"
    for score in found["state"]["scores"].values():
        assert score["world"]["10"]["value"] == (1.0 if score["unit"] == "share" else 0.0), score["label"]
    assert found["n"] == 24 and found["seed"] == 0 and found["psnr_db"]["world"]["1"]["n"] == 24, "n is told"


def test_a_world_that_becomes_noise_is_seen_to(squares):
    found = judge(NoisyWorld(squares), squares.path, suites=("stability",), **QUICK)["suites"]["stability"]
    early, late = found["lengths"]["30"], found["lengths"]["60"]
    assert early["left_range_ever"]["value"] == 1.0 and early["not_a_number"]["value"] == 0.0, early
    assert late["not_a_number"]["value"] == 1.0, late
    found = judge(BlackWorld(squares), squares.path, suites=("stability",), **QUICK)["suites"]["stability"]
    washed = found["lengths"]["60"]
    assert washed["out_of_range_at_end"]["value"] == washed["frames_out_of_range"]["value"] == 1.0, washed


def test_the_same_seed_gives_the_same_report(squares, copied):
    again = judge(CopyWorld(squares), squares.path, **QUICK)
    other = judge(CopyWorld(squares), squares.path, seed=1, **QUICK)
    assert {**again, "timing": 0} == {**copied, "timing": 0}, "all but timing is the same"
    assert other["suites"] != copied["suites"], "another seed draws other starts"


def test_the_report_is_one_file_without_references(squares, tmp_path):
    report = judge(CopyWorld(squares), squares.path, out=tmp_path / "new" / "out", **QUICK)
    folder = tmp_path / "new" / "out"
    assert sorted(p.name for p in folder.iterdir()) == ["report.html", "report.json"], "nothing else is left"
    assert json.loads((folder / "report.json").read_text()) == report, "what is written is what is returned"
    page = (folder / "report.html").read_text()
    assert "http" not in page and not re.search(r'(src|href)="(?!data:)', page), "no outside reference"
    assert page.count("<img") > 10 and page.count("<svg") >= 3, "film strips and curves"
    assert "NaN" not in (folder / "report.json").read_text(), "plain json"


def test_an_interrupted_judgement_leaves_nothing(squares, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        judge(InterruptedWorld(squares), squares.path, out=tmp_path / "out", **QUICK)
    assert list(tmp_path.iterdir()) == [], "nothing half-written"


def test_data_that_were_trained_on_are_named(squares, tmp_path):
    seen = judge(CopyWorld(squares, seed=0), squares.path, out=tmp_path, suites=("fidelity",), **QUICK)
    assert seen["about"]["data"]["held_out"] is False, "same seed and policy"
    assert "may have seen them" in (tmp_path / "report.html").read_text(), "the page says so"


def test_horizons_nobody_asked_for_end_with_the_episodes(squares):
    quick = {name: value for name, value in QUICK.items() if name != "horizons"}
    report = judge(CopyWorld(squares, context=12), squares.path, suites=("fidelity",), **quick)
    assert report["about"]["settings"]["horizons"] == [1, 5, 10, 25], "12 of 60 frames are shown"
    assert Settings().within(0).horizons == Settings().horizons, "so that what is too short is said"


def test_what_does_not_fit_is_one_clear_line(squares, tmp_path):
    world = CopyWorld(squares)
    cases = [
        (world, dict(suites=("fidelty",)), "Did you mean 'fidelity'"),
        (world, dict(suites=()), "at least one suite"),
        (world, dict(horizons=(500,)), "Lower the horizons"),
        (world, dict(starts=1), "`starts` must be at least 2"),
        (world, dict(horizons=(0, 5)), "at least 1"),
        (CopyWorld(squares, env_id="Circles-v0"), {}, "Circles-v0"),
        (CopyWorld(squares, frame_skip=4), {}, "--frame-skip 4"),
    ]
    bigger, other = CopyWorld(squares), CopyWorld(squares)
    bigger.size_px, other.action_space = 64, ActionSpace("discrete", (6,))
    cases += [(bigger, {}, "64 px"), (other, {}, "discrete [6]")]
    (tmp_path / "file").write_text("")
    cases.append((world, dict(out=tmp_path / "file"), "`out` must be a folder"))
    for judged, changes, words in cases:
        with pytest.raises(JudgeError, match=re.escape(words)) as raised:
            judge(judged, squares.path, **{**QUICK, **changes})
        assert "\n" not in str(raised.value), "one line"


def test_starts_are_distinct_and_have_room(squares):
    case = Case(CopyWorld(squares), squares, Settings(horizons=(10,)))
    starts = case.choose_starts(10, 100)
    assert len({*zip(starts.episode.tolist(), starts.last.tolist(), strict=True)}) == 100, "distinct"
    assert starts.last.min() >= 2 and starts.last.max() <= 49, "context before, horizon after"
    everything = case.choose_starts(10, 10_000)
    assert len(everything) == 6 * 48, "no more than the data hold"


def test_a_suite_is_one_line_in_the_registry(squares, monkeypatch, tmp_path):
    suite, page = ModuleType("counting_suite.suite"), ModuleType("counting_suite.page")
    suite.run = lambda case: Counted(frames=case.data.num_frames, timing=Elapsed(0.0))
    page.page = lambda result: Section("Counting", [Headline("Frames", str(result.frames), "as recorded")])
    for module in (ModuleType("counting_suite"), suite, page):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(SUITES, "counting", Suite("counting_suite", needs="data"))
    found = judge(CopyWorld(squares), squares.path, tmp_path, suites=("counting",), quiet=True)
    assert found["suites"] == {"counting": {"frames": 360}} and found["timing"]["counting"] == {"seconds": 0.0}
    assert headlines(found) == {"counting": ["Frames: 360 (as recorded)"]}
    assert "<h2>Counting</h2>" in (tmp_path / "report.html").read_text()
    assert "counting" in suites_for(CopyWorld(squares), squares.path), "all that can be run"
    listed = next(
        a for a in build_parser()._subparsers._group_actions[0].choices["judge"]._actions if a.dest == "suite"
    )
    assert "counting" in listed.help
    with pytest.raises(JudgeError, match="suite counting"):
        judge(CopyWorld(squares), None, suites=("counting",))


def test_the_report_has_the_order_of_the_registry(squares):
    found = judge(CopyWorld(squares), squares.path, suites=("stability", "fidelity"), **QUICK)
    assert list(found["suites"]) == found["about"]["suites"] == ["fidelity", "stability"]


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_has_its_folder(name):
    package = SUITES[name].package
    assert package == f"worldling.judge.{name}" and SUITES[name].needs in NEEDS
    assert callable(import_module(f"{package}.suite").run) and callable(import_module(f"{package}.page").page)


def test_worlds_without_actions_are_judged_too(tmp_path):
    data = write_squares(tmp_path, ActionSpace("none"))
    case = Case(CopyWorld(data), data, Settings(starts=12, horizons=(1, 4)), quiet=True)
    found = run(case).psnr_db
    assert "shuffled_actions" not in found and "world" in found, found.keys()
