"""The physics exam: labelled trials of the eight scenes, in matched pairs, reproducible from their seeds.

    exam = make_exam("data/physics-exam")        # goes on where it was stopped; then opens it
    exam.trials("dominoes", "test")              # [Trial], half of them with contact

A pair shares its geometry, so frame 0 is the same; one ends in contact and one does not. Three splits, by seed
block and by range: `readout` to fit readouts on, `test`, and `outside` with parameters beyond the training
ranges. The folder is an ordinary data set (`worldling info` reads it) with exam.json beside it: how many motions
were looked at, how many were set aside because noisy copies disagreed, and checksums.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from worldling.config import write_atomic
from worldling.data.dataset import DatasetMeta
from worldling.data.environment import Environment, open_environment
from worldling.data.simulators import check_scenes
from worldling.data.store import DatasetWriter, open_dataset, read_meta
from worldling.errors import DatasetError, JudgeError, nearest
from worldling.judge.case import Case
from worldling.judge.truth.processes import in_processes
from worldling.progress import Progress
from worldling.types import Episode

if TYPE_CHECKING:
    from worldling.scenes.env import SceneEnv
    from worldling.scenes.trial import Trial

ENV_ID = "worldling/Physics-v0"
SPLITS = ("test", "readout", "outside")
#: Pairs per scene of each split: 400 trials to be judged on, 300 to fit readouts on, 80 from outside.
PAIRS = {"test": 200, "readout": 150, "outside": 40}
PAIRS_PER_CHUNK = 10
_BLOCK = 1_000_000  # seeds of one split and scene: [seed, split, scene, number of the pair]


@dataclass(frozen=True)
class ExamTrial:
    """One trial: where its frames are (`episode` of the data set) and what the simulator says about it.

    first: frame in which red first touches yellow, or None; geometry, motion: its seeds.
    """

    episode: int
    scenario: str
    split: str
    geometry: int
    motion: int
    first: int | None

    @property
    def contact(self) -> bool:
        """Whether red ever touches yellow."""
        return self.first is not None


class Exam:
    """An exam opened for reading. dataset: frames, actions and state; about: what exam.json holds.

    chunks: only these, by number, as if the folder held no others: an exam is the same wherever it is part of a larger
    one.
    """

    def __init__(self, path: str | Path, chunks: Collection[str] | None = None) -> None:
        self.path = Path(path)
        self.dataset = open_dataset(path)
        try:
            self.about = json.loads((self.path / "exam.json").read_text())
            if chunks is not None:
                self.about["chunks"] = {
                    number: chunk for number, chunk in self.about["chunks"].items() if number in chunks
                }
            self._trials = self._read(self.about["chunks"], chunks)
        except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            raise DatasetError(
                f"`{path}` must be a physics exam with exam.json, got a damaged or unfinished one ({error}). "
                "Make it with `worldling scenes --exam FOLDER`."
            ) from None

    def _read(self, chunks: dict[str, Any], only: Collection[str] | None) -> list[ExamTrial]:
        trials: list[ExamTrial] = []
        seen: dict[int, int] = {}
        for episode in range(len(self.dataset)):
            worker = self.dataset.episode_meta(episode)["worker"]
            if only is not None and str(worker) not in only:
                continue
            number = seen[worker] = seen.get(worker, -1) + 1
            trials.append(ExamTrial(episode=episode, **chunks[str(worker)]["trials"][number]))
        return trials

    def trials(self, scenario: str, split: str, count: int | None = None) -> list[ExamTrial]:
        """Return the trials of a scene and split, pair after pair; count: only so many of the first."""
        return [t for t in self._trials if (t.scenario, t.split) == (scenario, split)][:count]

    def frames(self, trial: ExamTrial) -> np.ndarray:
        """Read a trial's frames: uint8 `[FRAMES, H, W, 3]`."""
        return self.dataset.frames(trial.episode)

    def state(self, trial: ExamTrial, name: str) -> np.ndarray:
        """Read a column of the simulator's state of a trial: `[FRAMES, ...]`."""
        return self.dataset.column(f"state/{name}", trial.episode)

    def tally(self) -> dict[str, dict[str, int]]:
        """Return per scene: motions labelled, of them flipped by noise, geometries tried, pairs found (all splits)."""
        total: dict[str, dict[str, int]] = {}
        for chunk in self.about["chunks"].values():
            mine = total.setdefault(chunk["trials"][0]["scenario"], {})
            for key, value in chunk["tally"].items():
                mine[key] = mine.get(key, 0) + value
        return total

    def checksums(self) -> dict[str, str]:
        """Return sha256 of all labels (seeds and first contacts) and of all pixels, in order."""
        labels, pixels = hashlib.sha256(), hashlib.sha256()
        for _, chunk in sorted(self.about["chunks"].items(), key=lambda item: int(item[0])):
            labels.update(json.dumps(chunk["trials"], sort_keys=True).encode())
            pixels.update(chunk["pixels"].encode())
        return {"labels": labels.hexdigest(), "pixels": pixels.hexdigest()}


def make_exam(
    path: str | Path,
    pairs: dict[str, int] | None = None,
    size_px: int = 64,
    seed: int = 0,
    scenarios: Sequence[str] | None = None,
    workers: int = 2,
    quiet: bool = False,
) -> Exam:
    """Make what is missing of an exam in the folder `path`, and open it.

    pairs: of each split and scene (default PAIRS), rounded up to whole chunks of 10; the n-th pair is the same however
    many there are. Ctrl-C keeps all finished chunks. Raises `EnvError` without MuJoCo, `DatasetError` if the folder
    holds something else.
    """
    env = open_environment(ENV_ID, size_px)
    try:
        meta = _meta(env, seed)
    finally:
        env.close()
    from worldling.scenes import SCENARIOS

    path, wanted = Path(path), {**PAIRS, **(pairs or {})}
    about = _begun(path, meta)
    DatasetWriter(path, meta).close()  # dataset.json
    if read_meta(path) != meta:
        raise DatasetError(
            f"`{path}` must hold the exam of these scenes, got one made when they were others. Choose another folder."
        )
    jobs = [
        (split, scenario, chunk)
        for split in SPLITS
        for scenario in scenarios or SCENARIOS
        for chunk in range(-(-wanted[split] // PAIRS_PER_CHUNK))
    ]
    number_of = {job: str(_worker(*job, SCENARIOS)) for job in jobs}
    missing = [job for job in jobs if number_of[job] not in about["chunks"]]
    missing.sort(key=lambda job: (job[1] != "drape", job[2]))  # the slow one first, so that both cores end together
    if missing:
        with Progress("making the exam", len(missing) * PAIRS_PER_CHUNK, "pairs", quiet) as progress:
            progress.update(0)
            made = in_processes(_make_chunk, [(str(path), meta, job, seed) for job in missing], workers)
            for done, (_, (worker, chunk)) in enumerate(made, 1):
                about["chunks"][str(worker)] = chunk
                write_atomic(path / "exam.json", json.dumps(about) + "\n")
                progress.update(done * PAIRS_PER_CHUNK)
    return Exam(path, number_of.values())


def running(env: SceneEnv) -> Trial:
    """Return the trial that an environment of the scenes runs, once it was reset."""
    assert env.trial is not None, "the environment was reset"
    return env.trial


def chosen_scenes(case: Case) -> list[str]:
    """Return the scenes to be judged on: those named, else the world's own one, or all eight.

    Raises `JudgeError` if one is unknown, `EnvError` without MuJoCo.
    """
    check_scenes()
    from worldling.scenes import PHYSICS_IDS, SCENARIOS

    for name in case.settings.scenes:
        if name not in SCENARIOS:
            raise JudgeError(f"`scene` must be one of the physics scenes, got {name!r}. {nearest(name, SCENARIOS)}")
    own = [name for name, env_id in zip(SCENARIOS, PHYSICS_IDS, strict=False) if env_id == case.env_id]
    return [name for name in SCENARIOS if name in (case.settings.scenes or own or SCENARIOS)]


def _meta(env: Environment, seed: int) -> DatasetMeta:
    from worldling.scenes import VERSION

    return DatasetMeta(
        env_id=env.env_id,
        size_px=env.size_px,
        action_space=env.action_space,
        fps=env.fps,
        policy="none: things happen by themselves",
        seed=_BLOCK + seed,
        license=env.license,
        versions={"scenes": VERSION},
    )


def _begun(path: Path, meta: DatasetMeta) -> dict[str, Any]:
    """Return what exam.json holds so far, after clearing away chunks that were not finished."""
    file = path / "exam.json"
    if not file.exists():
        if path.exists() and any(p.suffix == ".h5" for p in path.iterdir()) and not (path / "exam.begun").exists():
            raise DatasetError(
                f"`{path}` must be a physics exam or a new folder, got another data set. Choose another folder."
            )
        path.mkdir(parents=True, exist_ok=True)
        (path / "exam.begun").touch()
        about: dict[str, Any] = {"size_px": meta.size_px, "seed": meta.seed, "chunks": {}}
    else:
        try:
            about = json.loads(file.read_text())
            ours = about["size_px"], about["seed"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DatasetError(
                f"`{file}` must describe an exam, got a damaged file ({error}). Delete the folder."
            ) from None
        if ours != (meta.size_px, meta.seed):
            raise DatasetError(
                f"`{path}` must hold an exam of {meta.size_px} px and seed {meta.seed}, got {ours[0]} px and "
                f"{ours[1]}. Choose another folder."
            )
    for shard in path.glob("shard-*.h5"):
        if shard.stem.split("-")[1] not in about["chunks"]:
            shard.unlink()
    return about


def _worker(split: str, scenario: str, chunk: int, scenarios: Sequence[str]) -> int:
    return (SPLITS.index(split) * len(scenarios) + list(scenarios).index(scenario)) * 1000 + chunk


def _make_chunk(path: str, meta: DatasetMeta, job: tuple[str, str, int], seed: int) -> tuple[int, dict[str, Any]]:
    """Search, draw and write the pairs of one chunk; returns its worker number and what exam.json says of it."""
    from worldling.scenes import SCENARIOS
    from worldling.scenes.labels import FRAMES, Tally, find_pair

    split, scenario, chunk = job
    worker = _worker(split, scenario, chunk, SCENARIOS)
    outside = split == "outside"
    env = open_environment(ENV_ID, meta.size_px, env_kwargs={"outside": outside})
    tally, trials, pixels = Tally(), [], hashlib.sha256()
    try:
        with DatasetWriter(path, meta, worker) as writer:
            for number in range(chunk * PAIRS_PER_CHUNK, (chunk + 1) * PAIRS_PER_CHUNK):
                stream = [seed, SPLITS.index(split), SCENARIOS.index(scenario), _BLOCK + number]
                for trial, label in find_pair(scenario, stream, outside, tally):
                    episode = play_trial(env, trial.scenario, trial.geometry, trial.motion, FRAMES)
                    writer.write(episode)
                    pixels.update(episode.frames.tobytes())
                    trials.append(
                        {
                            "scenario": scenario,
                            "split": split,
                            "geometry": trial.geometry,
                            "motion": trial.motion,
                            "first": label.first,
                        }
                    )
    finally:
        env.close()
    return worker, {"trials": trials, "tally": asdict(tally), "pixels": pixels.hexdigest()}


def play_trial(env: Environment, scenario: str, geometry: int, motion: int, frames: int) -> Episode:
    """Let a trial happen, without actions, and return it with the simulator's state of every frame."""
    raw = env.raw.unwrapped
    raw.reset(seed=0, options={"scenario": scenario, "geometry": geometry, "motion": motion})
    rest = np.zeros(2, np.float32)
    pictures, states = [raw.draw(env.size_px)], [raw.record()]
    for _ in range(frames - 1):
        raw.trial.advance()
        pictures.append(raw.draw(env.size_px))
        states.append(raw.record())
    none = np.zeros(frames - 1)
    return Episode(
        np.stack(pictures),
        np.tile(rest, (frames - 1, 1)),
        none.astype(np.float32),
        none.astype(bool),
        none.astype(bool),
        {name: np.stack([s[name] for s in states]) for name in states[0]},
        {"seed": motion, "number": -1, "cut": True},
    )
