"""A model that is not ours is judged as ours are."""

import sys
from pathlib import Path

import numpy as np
import pytest
from judge_worlds import CopyWorld, PerfectWorld

from worldling import plugin
from worldling.cli import main
from worldling.errors import ConfigError
from worldling.foreign import foreign_world
from worldling.judge import judge
from worldling.testing import WorldContract

EXAMPLE = Path(__file__).parents[2] / "examples" / "conv_rnn.py"
QUICK = dict(starts=8, horizons=(1, 5), rollouts=2, lengths=(20,), quiet=True)


@pytest.fixture(scope="module")
def weights(squares, tmp_path_factory):
    """The example's network after one step of training."""
    file = tmp_path_factory.mktemp("conv_rnn") / "weights.safetensors"
    plugin.load_callable(f"{EXAMPLE}:train", "test")(squares.path, file, minutes=0)
    return file


@pytest.fixture(autouse=True)
def own_path(monkeypatch):
    """The folders of files that are loaded stay on the path of one test."""
    monkeypatch.setattr(sys, "path", sys.path[:])


class TestConvRNN(WorldContract):
    @pytest.fixture(autouse=True)
    def given(self, weights):
        self.weights = weights

    def make_world(self):
        return foreign_world(f"{EXAMPLE}:ConvRNN", {"weights": str(self.weights)})


def test_the_example_learns(squares, tmp_path):
    train = plugin.load_callable(f"{EXAMPLE}:train", "test")
    first, later = (train(squares.path, tmp_path / "w", minutes=0, min_steps=steps) for steps in (1, 20))
    assert later < first == pytest.approx(1.0), "untrained, it holds the last frame still"


def test_the_example_is_judged_by_every_suite(squares, weights, tmp_path):
    world = foreign_world(f"{EXAMPLE}:ConvRNN", {"weights": str(weights)})
    report = judge(world, squares.path, tmp_path, **QUICK)
    assert report["about"]["world"] == "conv-rnn" and report["about"]["data"]["held_out"] is False
    assert set(report["suites"]) == {"fidelity", "stability"}


def test_a_world_that_tells_nothing_is_judged_all_the_same(squares):
    world = CopyWorld(squares)
    world.card = {}
    about = judge(world, squares.path, None, ("fidelity",), **QUICK)["about"]
    assert (about["world"], about["env_id"], about["data"]["held_out"]) == ("world", "Squares-v0", None)


def test_the_command_judges_a_file(squares, weights, tmp_path, capsys):
    command = ["judge", f"{EXAMPLE}:ConvRNN", "--world-arg", f"weights={weights}", "--data", str(squares.path)]
    quick = ["--suite", "fidelity", "--starts", "4", "--horizons", "1,2", "--json", "--out", str(tmp_path / "out")]
    assert main([*command, *quick]) == 0
    assert (tmp_path / "out" / "report.html").exists()


def test_a_world_that_copies_is_surprised_by_what_moves(squares):
    frames, actions = squares.frames(0, 0, 12)[None], squares.actions(0, 0, 11)[None]
    world = CopyWorld(squares)
    error = np.square(frames[:, 1:] / 255.0 - frames[:, :-1] / 255.0).mean(axis=(2, 3, 4))
    assert np.allclose(world.surprise(frames, actions), error), "the error of holding the last true frame still"
    assert (PerfectWorld(squares).surprise(frames, actions) == 0).all(), "what was known is no surprise"


def test_what_is_no_world_is_told(squares):
    with pytest.raises(ConfigError, match="str without size_px"):
        judge("pusht", squares.path, quiet=True)
