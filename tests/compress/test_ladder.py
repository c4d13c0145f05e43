"""The ladder: all rows on the same starts, differences paired, stopped and gone on, and bad input refused."""

import json
from contextlib import closing
from functools import partial

import numpy as np
import pytest

import worldling.compress.ladder as module
from worldling.cli.commands import main
from worldling.compress.ladder import gflop, ladder
from worldling.compress.ladder_page import ladder_html, ladder_text
from worldling.compress.quantize import quantize_weights
from worldling.compress.sensitivity import Probe, packable
from worldling.compress.truth import Truth, TruthTest, is_within
from worldling.data.store import open_dataset
from worldling.report.values import NOTHING, Interval
from worldling.world_files import load_world, save_world


@pytest.fixture(scope="module")
def folder(make_world, tmp_path_factory):
    made = make_world(clips=True)
    made.card["source"] |= {"env_id": "test/Square-v0", "fps": 10.0}
    return save_world(made, tmp_path_factory.mktemp("worlds") / "w", half=False)


@pytest.fixture
def quick(monkeypatch):
    """Let the ladder be of the reference alone, with two widths of six weights. Returns names of what was tested."""
    import worldling.compress.quantize
    import worldling.compress.run
    import worldling.compress.sensitivity

    def some(world):
        return dict(list(packable(world).items())[:3])

    for where in (worldling.compress.quantize, worldling.compress.run, worldling.compress.sensitivity):
        monkeypatch.setattr(where, "packable", some)
    monkeypatch.setattr(module, "Probe", partial(Probe, rows=2, steps=2))
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(module, "WIDTHS", (8.5, 3.0))
    monkeypatch.setattr(module, "SHARES", (0.5,))
    tested, run = [], TruthTest.run

    def noted(self, world, quiet=True, name=""):
        tested.append(name)
        return run(self, world, quiet, name)

    monkeypatch.setattr(TruthTest, "run", noted)
    return tested


@pytest.mark.slow
def test_a_ladder_is_whole_and_goes_on(folder, square_data, quick, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["ladder", str(folder), "--data", str(square_data), "--out", str(out), "--json"]
    command += ["--starts", "6", "--horizon", "3", "--seconds", "0.05", "--target-drop", "100"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)["ladder"]
    thin = "dense fp32, 50 % pruned"
    widths = [f"{thin}, {bits:g}-bit weights" for bits in (8.5, 3)]
    names = ["dense fp32", thin, *widths, f"{widths[1]}, delta"]
    assert [row["name"] for row in found["rungs"]] == quick == names
    assert all(row["within"] for row in found["rungs"])
    first, pruned, _, last, reusing = found["rungs"]
    assert pruned["parameters"] == last["parameters"] < first["parameters"] and pruned["file_mb"] < first["file_mb"]
    assert all(first["lost"][name]["value"] in (0, None) for name in first["lost"])
    assert last["file_mb"] < pruned["file_mb"] and first["gflop"] > last["gflop"] >= reusing["gflop"] > 0
    assert first["speed"]["1"]["memory_mb"] > 0 and first["cost_per_user_hour"]["unit"].endswith("USD")
    assert set(first["speed"]) == {"1", "16", "64"} and first["speed"]["16"]["fps_p50"] > 0
    assert json.loads((out / "ladder.json").read_text())["starts"] == 6
    assert "3-bit weights" in (out / "ladder.html").read_text()
    assert main(command) == 0
    assert len(quick) == 5, "nothing is rolled out again"
    again = json.loads(capsys.readouterr().out)["ladder"]
    assert [row["value"] for row in again["rungs"]] == [row["value"] for row in found["rungs"]]
    assert main([*command[:-2], "--target-drop", "50", "--starts", "7"]) == 0
    assert len(quick) == 10, "other starts are other rows"
    other = load_world(folder)
    other.dynamics.head.stay.data += 1
    save_world(other, folder.parent / "other", half=False)
    assert main([command[0], str(folder.parent / "other"), *command[2:]]) == 0
    assert len(quick) == 15, "and so is another world, whose narrow forms are its own"


@pytest.mark.slow
def test_the_last_row_is_the_narrowest_that_is_within(folder, square_data, quick, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "is_within", lambda lost, points: False)
    found = ladder(folder, square_data, tmp_path / "out", starts=4, horizon=2, seconds=0.05)
    start = "dense fp32"  # from which each kind begins, as nothing is within
    tried = [start, f"{start}, 50 % pruned", f"{start}, 8.5-bit weights", f"{start}, delta"]
    assert [row.name for row in found.rungs] == tried and found.best.name == start
    assert "dense fp32" in ladder_text(found) and "dense fp32" in ladder_html(found)


def test_forms_that_were_made_before_are_rows_of_their_own(folder, square_data, quick, tmp_path, make_world, capsys):
    other = load_world(folder)
    other.dynamics.head.stay.data += 1
    other.card["compression"] = {"sparse": "window:4", "of": "w", "minutes": 3.0}
    save_world(other, tmp_path / "mine")
    command = ["ladder", str(folder), "--data", str(square_data), "--out", str(tmp_path / "out"), "--json"]
    command += [
        "--starts",
        "6",
        "--horizon",
        "3",
        "--seconds",
        "0.05",
        "--forms",
        "none",
        "--with",
        str(tmp_path / "mine"),
    ]
    assert main(command) == 0
    rows = json.loads(capsys.readouterr().out)["ladder"]["rungs"]
    assert [row["name"] for row in rows] == quick == ["dense fp32", "dense fp32, mine"]
    assert rows[1]["about"] == "sparse window:4, minutes 3.0"
    other.dynamics.head.stay.data -= 1
    save_world(other, tmp_path / "mine")
    assert main(command) == 0
    assert quick[2:] == ["dense fp32, mine"], "another world of the same name is measured anew"
    save_world(make_world(size_px=32), tmp_path / "small")
    for wrong, said in (
        (["--with", str(tmp_path / "small")], "`also` must be forms of"),
        (["--with", str(tmp_path / "mine")], "folders of different names"),
        (["--forms", "prunned"], "Did you mean 'pruned'"),
    ):
        assert main([*command, *wrong]) == 2
        assert said in capsys.readouterr().err


def test_int8_is_a_form_that_can_be_left_out(folder, monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: name)
    names = [step.name for step in module.precisions(load_world(folder))]
    assert names[0] == "dense fp32" and names[-1] == "int8"
    assert [step.name for step in module.precisions(load_world(folder), int8=False)] == names[:-1]


def test_what_is_lost_is_paired_by_start(folder, square_data):
    world = load_world(folder)
    with closing(open_dataset(square_data)) as data:
        test = TruthTest(world, data, 8, 2)
        truth = test.run(world)
        assert truth.psnr_db.shape == (8,) and np.array_equal(test.run(world).psnr_db, truth.psnr_db)
        lost = test.lost(truth, Truth(truth.psnr_db - 1, truth.right))
    assert lost["PSNR"].low == pytest.approx(1) and lost["PSNR"].high == pytest.approx(1)


def test_shares_count_by_the_upper_end():
    lost = {"PSNR": Interval(9.0, 9.0, 9.0, 5), "a": Interval(0.0, -0.01, 0.008, 5), "b": NOTHING}
    assert is_within(lost, 0.9) and not is_within(lost, 0.7)


def test_operations_do_not_depend_on_the_weights(folder, make_world):
    world = load_world(folder)
    assert gflop(world) == gflop(make_world(clips=True, seed=3)) > 1e-4
    assert gflop(make_world(clips=True, sparse="window:2+global:1")) < gflop(world)
    assert gflop(world, "reference+delta=0", 3) == pytest.approx(gflop(world)), "nothing is kept"
    assert gflop(world, "reference+delta=2", 3) < gflop(world), "whatever changes is kept"


@pytest.mark.parametrize(
    "options, said",
    [
        (["--target-drop", "0"], "`target_drop` must be above 0"),
        (["--starts", "1"], "`starts`, `horizon` and `seconds`"),
        (["--seconds", "0"], "`starts`, `horizon` and `seconds`"),
        (["--horizon", "500"], "`data` must hold episodes of at least"),
    ],
)
def test_bad_input_is_refused(folder, square_data, tmp_path, capsys, options, said):
    command = ["ladder", str(folder), "--data", str(square_data), "--out", str(tmp_path / "out"), *options]
    assert main(command) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "ladder.json").exists()


def test_a_world_that_was_quantized_is_refused(folder, square_data, quick, tmp_path, capsys):
    world = load_world(folder)
    done = quantize_weights(world, 4.5, Probe(world, rows=2, steps=2))
    save_world(done.world, tmp_path / "w", packing=done.packing)
    assert main(["ladder", str(tmp_path / "w"), "--data", str(square_data), "--out", str(tmp_path / "out")]) == 2
    assert "`world` must not be quantized yet" in capsys.readouterr().err
