"""A model that is not ours is judged as ours are, and what is wrong with it is told in one line."""

import sys
from pathlib import Path

import numpy as np
import pytest
from judge_worlds import CopyWorld, PerfectWorld

from worldling import plugin
from worldling.cli import main
from worldling.errors import ConfigError, JudgeError, ShapeError, WorldlingError
from worldling.judge import ForeignWorld, judge
from worldling.judge.adapter import foreign_world
from worldling.judge.judged_world import check_judged
from worldling.testing import WorldContract
from worldling.types import ActionSpace

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
    first, later = (train(squares.path, tmp_path / "w", minutes=0, least=steps) for steps in (1, 20))
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


def test_what_is_missing_is_named(squares):
    for gone, name in (("start", "start"), ("card", "card"), ("config", "config")):
        parts = {key: getattr(CopyWorld(squares), key) for key in dir(CopyWorld(squares)) if key[0] != "_"}
        del parts[gone]
        with pytest.raises(JudgeError, match=f"`world` must .* without {name}"):
            check_judged(type("Partial", (), parts)())
    with pytest.raises(JudgeError, match="str without size_px"):
        judge("pusht", squares.path, quiet=True)


class Careless(ForeignWorld):
    """Gives back whatever it was told to."""

    def __init__(self, gives):
        super().__init__(4, ActionSpace("none"), context=1)
        self.gives = gives

    def watch(self, frames, actions, seeds):
        return None

    def predict(self, state, actions):
        return self.gives


@pytest.mark.parametrize(
    "gives, says",
    [
        (np.zeros((1, 4, 4, 3), np.uint8), "must return .frames, state., got ndarray"),
        ((np.zeros((1, 4, 4, 3)), None), "got float64"),
        ((np.zeros((1, 3, 4, 4), np.uint8), None), r"got uint8 \[1, 3, 4, 4\]"),
    ],
)
def test_wrong_frames_are_told(gives, says):
    world = Careless(gives)
    state = world.start(np.zeros((1, 1, 4, 4, 3), np.uint8), np.zeros((1, 0, 0)))
    with pytest.raises(ShapeError, match=says):
        world.step(state, np.zeros((1, 0)))
    assert state.index == 0


@pytest.mark.parametrize(
    "frames",
    [np.zeros((2, 4, 4, 3), np.uint8), np.zeros((1, 2, 8, 8, 3), np.uint8), np.zeros((1, 0, 4, 4, 3), np.uint8)],
)
def test_wrong_starts_are_told(frames):
    with pytest.raises(ShapeError, match="must"):
        Careless(None).start(frames, np.zeros((1, 1, 0)))


def test_a_dream_begins_with_a_real_frame(squares):
    with pytest.raises(ConfigError, match="`context` must be at least 1"):
        CopyWorld(squares, context=0)


FILE = """
from worldling import ForeignWorld
number = 1
class Half(ForeignWorld):
    def watch(self, frames, actions, seeds): ...
class Nothing:
    def __init__(self, size=1): ...
"""


@pytest.mark.parametrize(
    "name, arguments, says",
    [
        ("nosuch.py:World", {}, "file that is there, got '.*nosuch.py'"),
        ("world.py", {}, "file.py:callable, got"),
        ("world.py:Nothin", {}, "Did you mean 'Nothing'"),
        ("world.py:number", {}, "must name a callable"),
        ("world.py:Nothing", {}, "Nothing without size_px, action_space, .*, decode"),
        ("world.py:Nothing", {"sise": 2}, r"`--world-arg` must .*\(size=1\), got: .*'sise'"),
        ("world.py:Half", {"size_px": 4, "action_space": 1}, "without predict"),
        ("imports.py:World", {}, "No module named 'nosuchpackage'"),
        ("nosuchmodule:World", {}, "importable"),
    ],
)
def test_what_cannot_be_made_is_one_clear_line(name, arguments, says, tmp_path, monkeypatch):
    (tmp_path / "world.py").write_text(FILE)
    (tmp_path / "imports.py").write_text("import nosuchpackage")
    monkeypatch.chdir(tmp_path)
    assert plugin.names_code(name)
    with pytest.raises(WorldlingError, match=says) as raised:
        foreign_world(name, arguments)
    assert "must" in str(raised.value) and "\n" not in str(raised.value)


def test_two_files_of_one_name_are_two(tmp_path):
    for folder, value in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "json.py").write_text(f"def made(): return {value}")
    assert [plugin.load_callable(f"{tmp_path}/{f}/json.py:made", "test")() for f in "ab"] == [1, 2]


@pytest.mark.parametrize("text", ["pusht", "worlds/pusht", "a:b c", "{tmp}"])
def test_names_of_worlds_are_not_names_of_code(text, tmp_path):
    folder = tmp_path / "odd:name"
    folder.mkdir()
    assert not plugin.names_code(text.replace("{tmp}", str(folder)))
