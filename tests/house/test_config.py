import dataclasses
import errno
import inspect
import os
from dataclasses import dataclass, field

import pytest

from worldling.config import RENAMED, from_dict, replace, to_dict, write_atomic
from worldling.dynamics.model import DynamicsConfig
from worldling.errors import ConfigError, DiskFullError
from worldling.train.recipe import TrainConfig


@dataclass(frozen=True)
class Inner:
    width: int = 1


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    sizes: tuple[int, ...] = (1, 2)


def test_there_and_back():
    config = Outer(Inner(5), (3, 4))
    assert from_dict(Outer, to_dict(config)) == config


def test_unknown_settings_name_the_nearest():
    with pytest.raises(ConfigError, match="'width'"):
        from_dict(Outer, {"inner": {"widht": 3}})
    with pytest.raises(ConfigError, match="'sizes'"):
        replace(Outer(), size=3)


@dataclass(frozen=True)
class Dials:
    rate: float = 0.1
    steps: int = 3
    loud: bool = False
    mode: str = "auto"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"loud": "False"}, "true or false"),
        ({"mode": True}, "text"),
        ({"steps": 1.5}, "whole number"),
        ({"steps": True}, "whole number"),
        ({"rate": "high"}, "a number"),
        ({"rate": True}, "a number"),
    ],
)
def test_a_value_of_another_kind_is_told(change, words):
    with pytest.raises(ConfigError, match=words):
        replace(Dials(), **change)
    assert replace(Dials(), rate=1, loud=True, mode="on") == Dials(1, 3, True, "on")


def test_a_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, "old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match="must fit on the disk"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "file", "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [TrainConfig, DynamicsConfig])
def test_settings_by_their_old_names_load_as_by_todays(kind):
    for old, new in RENAMED[kind.__name__].items():
        value = {bool: True, int: 3, float: 0.25, str: "x"}[type(getattr(kind(), new))]
        assert from_dict(kind, {old: value}) == from_dict(kind, {new: value}) == replace(kind(), **{old: value})
        assert getattr(from_dict(kind, {old: value}), new) == value
        with pytest.raises(ConfigError, match=f"`{old}` must be left out beside `{new}`"):
            from_dict(kind, {old: value, new: value})


def test_a_name_is_old_or_of_today_and_never_both():
    for kind in (TrainConfig, DynamicsConfig):
        today = {f.name for f in dataclasses.fields(kind)}
        assert set(RENAMED[kind.__name__].values()) <= today and not set(RENAMED[kind.__name__]) & today


def test_every_setting_of_training_says_what_it_is():
    lines = inspect.getsource(TrainConfig).splitlines()
    for setting in dataclasses.fields(TrainConfig):
        at = next(i for i, line in enumerate(lines) if line.startswith(f"    {setting.name}: "))
        assert lines[at + 1].strip().startswith('"""'), setting.name
