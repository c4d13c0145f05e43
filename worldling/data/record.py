"""Record an environment: play episodes with a policy, keep every frame, action and engine state.

The same seed and the same number of workers give the same pixels. A recording that was stopped or killed
is a readable data set, and can be resumed.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from worldling.about import first_sentence
from worldling.config import to_dict
from worldling.data.dataset import DatasetMeta
from worldling.data.environment import Environment, open_environment
from worldling.data.fit import Size
from worldling.data.play import Job, Played, episode_seed, play
from worldling.data.policies import Policy, load_policy, policy_name
from worldling.data.store import DatasetWriter, open_dataset, read_meta
from worldling.errors import ConfigError, DatasetError, EpisodeError
from worldling.folder_lock import only_writer
from worldling.machine import end_with_parent
from worldling.progress import Progress

LOCK = ".recording"  # the file that keeps a second recorder out


def record(
    env_id: str,
    path: str | Path,
    frames: int = 20000,
    policy: str | Policy = "sticky",
    size_px: Size = 64,
    frame_skip: int | None = None,
    workers: int = 1,
    seed: int = 0,
    env_kwargs: dict[str, Any] | None = None,
    resume: bool = False,
    quiet: bool = False,
    fit: str = "pad",
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Record `frames` frames of an environment into the data set folder `path`.

    env_id: a Gymnasium id, my_game:MyGame-v0 or my_game.py:MyGame, see find_environment.py;
    size_px, fit: pixels kept, such as 64 or "96x72", and what is done to pictures of another shape, see fit.py;
    policy: see `worldling.data.policies`; frame_skip None takes the simulator's habit; workers: processes,
    each with its own seeds and shards; resume: go on with a recording of the same settings until it has
    `frames` frames. Ctrl-C finishes the piece in hand, leaves a readable data set and raises `KeyboardInterrupt`. An
    episode in which the environment raises an exception is told on stderr, kept up to there, and recording goes on.
    stop: ends the recording when it is set, as if it were complete. Returns a summary of the whole data set: path,
    env_id, frames, episodes, size_px, fit, picture_px, frame_skip, fps, policy, seed and workers; and, of this run,
    cut_by_errors: episodes that an exception ended.
    Raises `EnvError`, `ConfigError`, `DatasetError` if `path` is taken or another recorder is at work in it,
    `DiskFullError`.
    """
    path = Path(path)
    if frames < 2 or workers < 1:
        raise ConfigError(f"`frames` must be 2 or more, `workers` 1, got {frames} and {workers}. Raise them.")
    if seed < 0:
        raise ConfigError(f"`seed` must be 0 or more, got {seed}. Choose another.")
    if workers > 1:
        policy = policy_name(policy)  # worker processes find it by its name
    if isinstance(policy, str):
        load_policy(policy)  # a wrong name is told before anything is opened
    env = open_environment(env_id, size_px, frame_skip, env_kwargs, fit)
    try:
        meta = _describe(env, policy_name(policy), seed)
        layout = _state_layout(env, seed) if resume else None
        said = env.fit.sentence(*env.picture_px) if env.picture_px else ""
    finally:
        env.close()
    if said and not quiet:
        print(said, file=sys.stderr, flush=True)
    played: list[Played] = []
    with only_writer(path, LOCK, "recorded"):
        taken, next_number = _recorded(path, meta, resume, layout)
        missing = max(0, frames - taken)
        DatasetWriter(path, meta).close()  # dataset.json first, so that a killed recording can be read
        share = [missing // workers + (worker < missing % workers) for worker in range(workers)]
        jobs = [
            Job(str(path), meta, policy, worker, frames, next_number.get(worker, 0), env_id)
            for worker, frames in enumerate(share)
            if frames > 0
        ]
        with _interruptible(stop) as halt, Progress(f"recording {env_id}", missing, "frames", quiet) as bar:
            bar.update(0)
            if len(jobs) == 1:
                played.append(play(jobs[0], halt.is_set, bar.update))
            elif jobs:
                played += _play_in_processes(jobs, halt, bar)
    _tell(played)
    if halt.is_set() and stop is None:
        raise KeyboardInterrupt
    dataset = open_dataset(path)
    dataset.close()
    return {
        "path": str(path),
        "env_id": meta.env_id,
        "frames": dataset.num_frames,
        "episodes": len(dataset),
        "size_px": meta.size_px,
        "fit": meta.fit,
        "picture_px": list(meta.picture_px),
        "frame_skip": meta.frame_skip,
        "fps": meta.fps,
        "policy": meta.policy,
        "seed": seed,
        "workers": workers,
        "cut_by_errors": sum(p.cut_by_errors for p in played),
    }


def _tell(played: list[Played]) -> None:
    """Say on stderr what of the environment deserves a word, once for all workers."""
    cut, steps, not_finite = (sum(getattr(p, n) for p in played) for n in ("cut_by_errors", "steps", "not_finite"))
    if cut:
        print(f"{cut} episodes were cut by exceptions of the environment", file=sys.stderr, flush=True)
    if not_finite:
        print(
            f"the reward is NaN or infinite in {not_finite} of {steps} steps: kept as it is, and left out of sums",
            file=sys.stderr,
            flush=True,
        )


def _state_layout(env: Environment, seed: int) -> dict[str, list[int]] | None:
    """Return the columns of engine state and the shape of one row of each; None if that cannot be seen now."""
    try:
        env.reset(seed)
    except EpisodeError:
        return None
    return {name: list(value.shape) for name, value in env.state().items()}


def _picture_px(env: Environment, seed: int) -> tuple[int, int]:
    """Return height and width of an environment's pictures, of which it draws one."""
    env.reset(episode_seed(seed, 0, 0))
    assert env.picture_px is not None, "a frame was drawn"
    return env.picture_px


def _describe(env: Environment, policy: str, seed: int) -> DatasetMeta:
    versions = {}
    for package in ("worldling", "gymnasium", "numpy", env.package):
        with suppress(PackageNotFoundError):  # run from a checkout, or brought by something else
            versions[package] = version(package)
    if "version" in env.raw.metadata:
        versions[env.env_id] = env.raw.metadata["version"]
    return DatasetMeta(
        env_id=env.env_id,
        env_kwargs=env.env_kwargs,
        frame_skip=env.frame_skip,
        fps=env.fps,
        action_space=env.action_space,
        policy=policy,
        seed=seed,
        license=env.license,
        versions=versions,
        about=first_sentence(type(env.raw.unwrapped).__doc__),
        **env.fit.describe(*_picture_px(env, seed)),
    )


def _recorded(
    path: Path, meta: DatasetMeta, resume: bool, layout: dict[str, list[int]] | None
) -> tuple[int, dict[int, int]]:
    """Return how many frames `path` holds and each worker's next episode number; refuse a folder in use.

    layout: the engine state of the environment as it is now, if known.
    """
    ours = [*path.glob(".shard-*"), *path.glob(".dataset.json.*"), *path.glob("dataset.json")]
    shards = list(path.glob("shard-*.h5"))
    if not shards and (not path.exists() or (path.is_dir() and set(path.iterdir()) <= {*ours, path / LOCK})):
        for leftover in ours:
            leftover.unlink()  # a recording stopped before its first shard: nothing to keep
        return 0, {}
    if not resume:
        raise DatasetError(
            f"`{path}` must be a new or empty folder, got one in use. "
            "Resume the recording with --resume, choose another --out, or delete it."
        )
    old = read_meta(path)
    of_shape = () if meta.aspect == old.aspect == 1 and not meta.box_px else ("fit", "box_px", "picture_px")
    for name in ("env_id", "env_kwargs", "size_px", "frame_skip", "policy", "seed", *of_shape):
        if getattr(old, name) != getattr(meta, name):
            raise DatasetError(
                f"`{name}` must be {getattr(old, name)!r} to resume {path}, got {getattr(meta, name)!r}. "
                "Use the same settings, or record into another folder."
            )
    _check_unchanged(path, old, meta)
    was, now = (m.versions.get(m.env_id, "none") for m in (old, meta))
    if was != now:  # the same seeds now mean other episodes
        raise DatasetError(
            f"`{path}` must be recorded with version {now} of {meta.env_id} to be resumed, got version {was}. "
            "Record anew into another folder."
        )
    for leftover in path.glob(".shard-*"):
        leftover.unlink()  # half-written when the last run was killed
    dataset = open_dataset(path)
    kept = {name: list(dataset.column(f"state/{name}", 0).shape[1:]) for name in dataset.state_names}
    dataset.close()
    if layout is not None and layout != kept:
        raise _changed(path, "state", kept, layout)
    numbers: dict[int, int] = {}
    for index in range(len(dataset)):
        info = dataset.episode_meta(index)
        numbers[info["worker"]] = max(numbers.get(info["worker"], 0), info["number"] + 1)
    return dataset.num_frames, numbers


def _check_unchanged(path: Path, old: DatasetMeta, new: DatasetMeta) -> None:
    """Raise `DatasetError` if the environment has other actions or another frame rate than when `path` was begun."""
    was, now = (dataclasses.replace(meta.action_space, names=()) for meta in (old, new))
    if was != now:
        raise _changed(path, "action_space", *({k: v for k, v in to_dict(s).items() if v} for s in (was, now)))
    if abs(old.fps - new.fps) > 1e-6 * old.fps:
        raise _changed(path, "fps", old.fps, new.fps)


def _changed(path: Path, what: str, was: Any, now: Any) -> DatasetError:
    return DatasetError(
        f"`{what}` must be as when {path} was begun, {was}, to resume it, got {now}: the environment has changed. "
        "Record into another folder."
    )


@contextmanager
def _interruptible(given: threading.Event | None) -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into a request to stop; a second one interrupts at once. given: stops too, if set."""
    stop = threading.Event() if given is None else given
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals only reach the main thread
        return
    previous = signal.getsignal(signal.SIGINT)

    def on_interrupt(number: int, stack: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)


_shared: dict[str, Any] = {}  # of a worker process: the stop event and the frame counters


def _enter_worker(stop: Any, counters: Any) -> None:
    _shared.update(stop=stop, counters=counters)
    sys.stdout = sys.stderr  # what an environment prints is no part of the command's answer
    end_with_parent()


def _work(slot: int, job: Job) -> Played:
    counters = _shared["counters"]
    return play(job, _shared["stop"].is_set, lambda done: counters.__setitem__(slot, done))


def _play_in_processes(jobs: list[Job], stop: threading.Event, bar: Progress) -> list[Played]:
    context = multiprocessing.get_context("spawn")  # forking a process with open simulators is not safe
    halt, counters = context.Event(), context.Array("q", len(jobs))
    pool = ProcessPoolExecutor(len(jobs), context, _enter_worker, (halt, counters))
    try:
        # Ctrl-C reaches every process of the terminal; workers start deaf to it and are told by `halt`.
        main = threading.current_thread() is threading.main_thread()
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
        futures: list[Future[Played]] = [pool.submit(_work, slot, job) for slot, job in enumerate(jobs)]
        if main:
            signal.signal(signal.SIGINT, handler)
        pending = set(futures)
        while pending:
            finished, pending = wait(pending, timeout=0.2)
            if stop.is_set() or any(f.exception() for f in finished):
                halt.set()
            bar.update(sum(counters[:]))
        return [future.result() for future in futures]
    except BrokenProcessPool:
        raise DatasetError(
            "`workers` must live until they finish, got one that was killed (out of memory?). "
            "Use fewer workers and --resume."
        ) from None
    finally:
        halt.set()
        pool.shutdown()
