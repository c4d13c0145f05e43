"""Recording: the same seed gives the same pixels, and stopping loses nothing."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from worldling.data.environment import open_environment
from worldling.data.record import record
from worldling.data.store import open_dataset
from worldling.errors import ConfigError, DatasetError, EnvError

TOY = "toy_environments:worldling_toy/Square-v0"


def contents(path):
    return [(e.frames, e.actions, e.reward, e.terminated) for e in open_dataset(path)]


def same(left, right):
    return len(left) == len(right) and all(
        np.array_equal(a, b) for one, two in zip(left, right, strict=True) for a, b in zip(one, two, strict=True)
    )


def test_same_seed_same_pixels(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        record(TOY, tmp_path / name, frames=200, size_px=16, seed=seed, quiet=True)
    assert same(contents(tmp_path / "a"), contents(tmp_path / "b"))
    assert not same(contents(tmp_path / "a"), contents(tmp_path / "c"))
    firsts = [e.frames[0] for e in open_dataset(tmp_path / "a")]
    assert len(np.unique(firsts, axis=0)) > 3, "episodes start differently"


def test_workers_share_the_frames_and_repeat_themselves(tmp_path):
    for name in ("a", "b"):
        summary = record(TOY, tmp_path / name, frames=101, workers=2, size_px=16, quiet=True)
        assert summary["frames"] == 101 and summary["workers"] == 2
    assert same(contents(tmp_path / "a"), contents(tmp_path / "b"))
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == ["dataset.json", "shard-0-0000.h5", "shard-1-0000.h5"]
    starts = [e.frames[0] for e in open_dataset(tmp_path / "a")]
    assert len(np.unique(starts, axis=0)) == len(starts), "workers do not repeat each other"


def test_rows_line_up(tmp_path):
    """Replaying the recorded actions from the recorded seed gives the recorded frames."""
    from worldling.data.environment import open_environment

    record(TOY, tmp_path / "a", frames=90, size_px=16, frame_skip=2, env_kwargs={"space": "box"}, quiet=True)
    env = open_environment(TOY, 16, 2, {"space": "box"})
    for episode in open_dataset(tmp_path / "a"):
        assert np.array_equal(env.reset(episode.meta["seed"]), episode.frames[0])
        for action, frame, reward in zip(episode.actions, episode.frames[1:], episode.reward, strict=True):
            step = env.step(action)
            assert np.array_equal(step.frame, frame) and step.reward == reward


def test_engine_state_and_meta_are_kept(tmp_path):
    pytest.importorskip("pygame")
    record("CartPole-v1", tmp_path / "a", frames=40, size_px=32, policy="random:0.5,sticky:0.5", quiet=True)
    dataset = open_dataset(tmp_path / "a")
    assert dataset[0].state["state"].shape == (dataset.lengths[0], 4)
    assert (dataset.meta.env_id, dataset.meta.policy) == ("CartPole-v1", "random:0.5,sticky:0.5")
    assert dataset.meta.fps == 50 and dataset.meta.versions["gymnasium"] and dataset.meta.license == "MIT"


def test_an_existing_data_set_is_not_touched_unless_resumed(tmp_path):
    path = tmp_path / "a"
    record(TOY, path, frames=60, size_px=16, quiet=True)
    before = contents(path)
    with pytest.raises(DatasetError, match="--resume"):
        record(TOY, path, frames=60, size_px=16, quiet=True)
    with pytest.raises(DatasetError, match="`seed` must be 0 to resume"):
        record(TOY, path, frames=90, size_px=16, seed=1, resume=True, quiet=True)
    summary = record(TOY, path, frames=150, size_px=16, resume=True, quiet=True)
    after = contents(path)
    assert summary["frames"] == 150 and same(before, after[: len(before)])
    assert not same(after[:1], after[len(before) : len(before) + 1]), "resuming plays new episodes"
    assert record(TOY, path, frames=100, size_px=16, resume=True, quiet=True)["frames"] == 150


def test_a_recording_is_not_resumed_after_its_environment_has_changed(tmp_path, monkeypatch):
    env = open_environment(TOY, 16)
    path, metadata = tmp_path / "a", type(env.raw.unwrapped).metadata
    env.close()
    monkeypatch.setitem(metadata, "version", "1")
    record(TOY, path, frames=60, size_px=16, quiet=True)
    assert open_dataset(path).meta.versions[TOY] == "1"
    before = contents(path)
    monkeypatch.setitem(metadata, "version", "2")
    with pytest.raises(DatasetError, match=r"recorded with version 2 .* got version 1"):
        record(TOY, path, frames=90, size_px=16, resume=True, quiet=True)
    assert same(before, contents(path))


def test_a_recording_that_never_began_can_be_repeated(tmp_path):
    with pytest.raises(EnvError, match="one-coloured"):
        record(TOY, tmp_path / "a", frames=20, env_kwargs={"shows": "blank"}, quiet=True)
    assert record(TOY, tmp_path / "a", frames=20, size_px=16, quiet=True)["frames"] == 20


def test_bad_requests_change_nothing(tmp_path):
    local = {"policy": lambda env, seed: None, "workers": 2}  # a process could not find it
    for wrong in ({"frames": 1}, {"workers": 0}, {"seed": -1}, {"policy": "stikcy"}, {"size_px": 2}, local):
        with pytest.raises(ConfigError):
            record(TOY, tmp_path / "a", quiet=True, **wrong)
    with pytest.raises(EnvError):
        record("No-v0", tmp_path / "a", quiet=True)
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("do not delete")
    with pytest.raises(DatasetError, match="new or empty"):
        record(TOY, tmp_path / "b", quiet=True)


def test_an_error_in_a_worker_reaches_the_caller(tmp_path):
    with pytest.raises(EnvError, match="one-coloured"):
        record(TOY, tmp_path / "a", frames=900, workers=2, env_kwargs={"shows": "blank"}, quiet=True)


def test_ctrl_c_keeps_what_was_recorded(tmp_path):
    path, handler = tmp_path / "a", signal.getsignal(signal.SIGINT)
    taken = itertools.count()

    def policy(env, seed):
        def act(frame, info):
            if next(taken) == 100:
                os.kill(os.getpid(), signal.SIGINT)
            return 1

        return act

    with pytest.raises(KeyboardInterrupt):
        record(TOY, path, frames=10**7, size_px=16, policy=policy, quiet=True)
    assert sum(len(e.actions) for e in open_dataset(path)) == 101, "every action taken is there"
    assert not list(path.glob(".*"))
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("kill, code", [(signal.SIGINT, -2), (signal.SIGKILL, -9)])
def test_a_process_that_is_stopped_or_killed_leaves_a_readable_data_set(tmp_path, kill, code):
    path = tmp_path / "a"
    workers = 2 if kill == signal.SIGINT else 1
    script = (
        "from worldling.data.record import record\n"
        "if __name__ == '__main__':\n"
        f"    record({TOY!r}, {str(path)!r}, frames=10**7, size_px=8, workers={workers})\n"
    )
    (tmp_path / "go.py").write_text(script)
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "go.py")],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    deadline = time.monotonic() + 60
    while not list(path.glob("shard-*.h5")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, kill)  # as a terminal does: to the workers as well
    process.wait(20)
    assert process.returncode == code
    assert open_dataset(path).num_frames >= 2000
