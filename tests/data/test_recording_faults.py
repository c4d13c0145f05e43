"""Recordings in trouble: simulators that raise, two recorders in a folder, changed environments, dead parents."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from worldling.data.record import LOCK, record
from worldling.data.store import open_dataset, read_meta
from worldling.errors import ConfigError, DatasetError, EpisodeError
from worldling.folder_lock import only_writer

ODD, CHANGED = (f"odd_environments:worldling_odd/{name}-v0" for name in ("Odd", "Changed"))


def recorded(path, frames, env_id=ODD, resume=False, workers=1, seed=0, **keywords):
    return record(
        env_id, path, frames, size_px=8, env_kwargs=keywords, resume=resume, workers=workers, seed=seed, quiet=True
    )


@pytest.mark.parametrize("fails", ["step", "reset", "exit"])
def test_recording_goes_on_past_episodes_that_fail(tmp_path, capsys, fails):
    summary = recorded(tmp_path / "d", 600, fails=fails)
    assert summary["frames"] == 600 and summary["cut_by_errors"] > 3
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 4 and f"{summary['cut_by_errors']} episodes were cut" in told[3]
    assert all(line.startswith("episode ") and "(seed " in line and "odd_environments.py" in line for line in told[:3])
    dataset = open_dataset(tmp_path / "d")
    short = [i for i, length in enumerate(dataset.lengths) if length == 9]
    assert bool(short) == (fails != "reset"), "what was played before the fault is kept"
    assert all(dataset.episode_meta(i)["cut"] and not dataset[i].terminated.any() for i in short)
    again = recorded(tmp_path / "d", 900, resume=True, fails=fails)
    assert again["frames"] == 900, "resuming goes past the episode that fails"
    numbers = [open_dataset(tmp_path / "d").episode_meta(i)["number"] for i in range(again["episodes"])]
    assert numbers == sorted(set(numbers))


def test_workers_tell_of_failed_episodes_too(tmp_path, capfd):
    summary = recorded(tmp_path / "d", 400, workers=2, fails="step")
    assert summary["frames"] == 400 and summary["cut_by_errors"] > 1
    assert f"{summary['cut_by_errors']} episodes were cut" in capfd.readouterr().err


@pytest.mark.parametrize("fails", ["always", "render"])
def test_an_environment_that_always_fails_is_one_error(tmp_path, fails):
    with pytest.raises(EpisodeError, match="must play on"):
        recorded(tmp_path / "d", 100, fails=fails)
    assert recorded(tmp_path / "d", 100)["frames"] == 100, "the folder can be used"


@pytest.mark.parametrize("interface, steps", [("nan", "every"), ("infinite", "some")])
def test_rewards_that_are_no_numbers_are_told(tmp_path, capsys, interface, steps):
    from worldling.data.contact_sheet import dataset_info

    recorded(tmp_path / "d", 100, interface=interface)
    assert "NaN or infinite in" in capsys.readouterr().err
    reward = dataset_info(tmp_path / "d")["reward"]
    taken = sum(len(e.actions) for e in open_dataset(tmp_path / "d"))
    assert reward["not_finite"] == taken if steps == "every" else 0 < reward["not_finite"] < taken
    assert np.isfinite(reward["sum"]) and reward["max"] == (None if steps == "every" else 1.0)


def test_a_second_recorder_is_refused_and_changes_nothing(tmp_path):
    recorded(tmp_path / "d", 60)
    before = {p.name: p.read_bytes() for p in (tmp_path / "d").iterdir()}
    with only_writer(tmp_path / "d", LOCK, "recorded"):
        for resume in (True, False):
            with pytest.raises(DatasetError, match=f"one process at a time.*number {os.getpid()}"):
                recorded(tmp_path / "d", 90, resume=resume)
        (tmp_path / "d" / LOCK).unlink()
    assert {p.name: p.read_bytes() for p in (tmp_path / "d").iterdir()} == before
    assert recorded(tmp_path / "d", 90, resume=True)["frames"] == 90


def hold(path, ready, forever):
    with only_writer(path, LOCK, "recorded"):
        ready.set()
        forever.wait(60)


def test_a_folder_is_free_again_when_its_recorder_was_killed(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, forever = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "d", ready, forever))
    other.start()
    assert ready.wait(60)
    with pytest.raises(DatasetError, match="one process at a time"):
        recorded(tmp_path / "d", 60)
    other.kill()
    other.join()
    assert (tmp_path / "d" / LOCK).exists(), "its file stays, its lock does not"
    assert recorded(tmp_path / "d", 60)["frames"] == 60
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == ["dataset.json", "shard-0-0000.h5"]


def test_a_place_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "d"):
        with pytest.raises(DatasetError, match="folder"):
            recorded(place, 60)


@pytest.mark.parametrize(
    "change, name",
    [
        (dict(choices=5), "action_space"),
        (dict(space="table"), "action_space"),
        (dict(space="double"), "action_space"),
        (dict(rate=20.0), "fps"),
        (dict(state=True), "state"),
    ],
)
def test_a_recording_is_not_resumed_when_its_environment_has_changed(tmp_path, monkeypatch, change, name):
    import odd_environments as odd

    def init(self, render_mode=None, **changed):
        odd.Odd.__init__(self, render_mode=render_mode, **changed)

    monkeypatch.setattr(odd.Changed, "__init__", init, raising=False)
    recorded(tmp_path / "d", 60, CHANGED)
    before = {p.name: p.read_bytes() for p in (tmp_path / "d").iterdir()}
    if "rate" in change:
        monkeypatch.setitem(odd.Changed.metadata, "render_fps", change["rate"])
    elif "state" in change:
        monkeypatch.setattr("worldling.data.environment.Environment.state", lambda self: {"speed": np.zeros(3)})
    else:
        monkeypatch.setattr(
            odd.Changed, "__init__", lambda self, render_mode=None: init(self, render_mode, **change), raising=False
        )
    with pytest.raises(DatasetError, match=f"`{name}` must be as when .* was begun") as caught:
        recorded(tmp_path / "d", 120, CHANGED, resume=True)
    assert "\n" not in str(caught.value)
    assert {p.name: p.read_bytes() for p in (tmp_path / "d").iterdir()} == before, "nothing was written"


def test_new_names_of_the_same_actions_are_no_change(tmp_path, monkeypatch):
    import odd_environments as odd

    recorded(tmp_path / "d", 60, choices=2)
    monkeypatch.setattr(odd.Odd, "get_action_meanings", lambda self: ["stay", "go"], raising=False)
    assert recorded(tmp_path / "d", 90, resume=True, choices=2)["frames"] == 90
    assert read_meta(tmp_path / "d").action_space.names == ()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="finds the workers in /proc")
def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = (
        "from worldling.data.record import record\n"
        "if __name__ == '__main__':\n"
        f"    record({ODD!r}, {str(tmp_path / 'd')!r}, 10**7, size_px=8, workers=2, env_kwargs={{'slow': 0.002}})\n"
    )
    (tmp_path / "go.py").write_text(script)
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "go.py")],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )

    def children():
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_text()
                if "spawn_main" in line and (folder / "cwd").readlink() == tmp_path:
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    try:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "d").glob("shard-*.h5")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(children()) == 2
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 10
    while children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not children()
    assert open_dataset(tmp_path / "d").num_frames >= 2000


@pytest.mark.parametrize("when", ["at once", "in the middle"])
def test_a_policy_that_fails_is_one_line(tmp_path, when):
    def policy(env, seed):
        steps = iter([1, 1, 1])
        return {}["none"] if when == "at once" else lambda frame, info: next(steps)

    with pytest.raises(ConfigError, match=r"`policy` must play on.*test_recording_faults\.py, line \d+") as caught:
        record(ODD, tmp_path / "d", 60, policy, 8, quiet=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a b", "ünï", "[x]", "100%", "-d", "a.b", "it's"])
def test_odd_paths_are_recorded_resumed_and_described(tmp_path, name):
    from worldling.data.contact_sheet import dataset_info, write_contact_sheet
    from worldling.data.formats.registry import import_data

    path = tmp_path / name / "d*"
    recorded(path, 30)
    assert recorded(path, 60, resume=True)["frames"] == 60
    assert dataset_info(path)["frames"] == 60 and write_contact_sheet(path).is_file()
    assert import_data(path, tmp_path / name / "[small]", 8, quiet=True).frames == 60
