"""A model that is not ours has all that a world has, and what is wrong with it is told in one line."""

import sys

import numpy as np
import pytest
import torch

from worldling import plugin
from worldling.errors import ConfigError, ShapeError, WorldlingError
from worldling.foreign import ForeignWorld, foreign_world
from worldling.protocol import check_world
from worldling.types import ActionSpace


@pytest.fixture(autouse=True)
def own_path(monkeypatch):
    """The folders of files that are loaded stay on the path of one test."""
    monkeypatch.setattr(sys, "path", sys.path[:])


class Still(ForeignWorld):
    """Shows the last frame again, and remembers it in several ways."""

    def __init__(self, context=1, holds=lambda frames: frames):
        super().__init__(4, ActionSpace("none"), context)
        self.holds = holds

    def watch(self, frames, actions, seeds):
        return {"frames": frames[:, -1], "more": self.holds(frames[:, -1])}

    def predict(self, state, actions):
        return state["frames"], state


def test_what_is_missing_is_named():
    whole = {key: getattr(Still(), key) for key in dir(Still()) if key[0] != "_"}
    check_world(type("Whole", (), whole)())
    for gone in ("start", "card", "config", "contexts", "surprise", "backend"):
        parts = {key: value for key, value in whole.items() if key != gone}
        with pytest.raises(ConfigError, match=f"`world` must .* without {gone}"):
            check_world(type("Partial", (), parts)())
    with pytest.raises(ConfigError, match=r"without config.fps"):
        check_world(type("Partial", (), {**whole, "config": type("C", (), {"name": "", "context": 1})})())


@pytest.mark.parametrize(
    "holds",
    [lambda frames: None, lambda frames: torch.from_numpy(frames), lambda frames: (frames, [torch.zeros(len(frames))])],
)
def test_rows_of_what_is_held_are_repeated_in_place(holds):
    frames = np.random.default_rng(0).integers(0, 256, (2, 1, 4, 4, 3), dtype=np.uint8)
    world = Still(holds=holds)
    forks = world.start(frames, np.zeros((2, 0, 0))).fork(3)
    assert forks.batch == 6
    assert np.array_equal(world.step(forks, np.zeros((6, 0))).frame, np.repeat(frames[:, 0], 3, axis=0))


def test_what_cannot_be_repeated_is_told():
    state = Still(holds=lambda frames: object()).start(np.zeros((1, 1, 4, 4, 3), np.uint8), np.zeros((1, 0, 0)))
    assert state.fork().batch == 1
    with pytest.raises(ConfigError, match=r"`repeat` must .* object"):
        state.fork(2)


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


def test_a_dream_begins_with_a_real_frame():
    with pytest.raises(ConfigError, match="`context` must be at least 1"):
        Still(context=0)


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
        ("world.py:Nothing", {}, "Nothing without size_px, action_space, .*, surprise"),
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
