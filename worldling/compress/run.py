"""`worldling compress`: a world in, a smaller one out. Stopped at any time, the same command goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from worldling.checkpoint import read_json
from worldling.compress.compensate import input_products
from worldling.compress.finetune import data_of, finetune, known_to_student, settings_of, sparse_shape, student_shape
from worldling.compress.prune import pruned_shape, pruned_weights, pruned_world
from worldling.compress.quantize import Quantized, check_mean_bits, quantize_weights, refuse_packed
from worldling.compress.sensitivity import Probe, packable
from worldling.config import write_atomic
from worldling.dynamics.loss import Teacher
from worldling.dynamics.model import DynamicsConfig
from worldling.errors import CheckpointError, ConfigError
from worldling.folder_lock import only_writer
from worldling.frame_error import psnr_of
from worldling.learn.latents import weights_digest
from worldling.packed import BITS
from worldling.world import World
from worldling.world_files import find_world, load_world, save_world, weights_of

#: Of training, where it is needed and nothing else is said.
MINUTES = 15.0


@dataclass(frozen=True)
class Compressed:
    """What was written.

    path; megabytes: of its weights, and of those before as float32; psnr_db: of its roll-outs over some frames, against
    those before; mean_bits: of a packed weight, scales included, None where none is packed.
    """

    path: str
    megabytes: float
    megabytes_before: float
    psnr_db: float
    mean_bits: float | None = None


def compress(
    world: str | Path,
    out: str | Path,
    bits: float | None = None,
    sparse: str | None = None,
    size: str | None = None,
    prune: float | None = None,
    data: str | Path | None = None,
    minutes: float | None = None,
    steps: int = 0,
    quiet: bool = True,
) -> Compressed:
    """Write a smaller or cheaper form of the world in folder `world` (or a bundled one) to folder `out`.

    One of four: bits: of a weight on average; sparse: a pattern of attention over space (nn/sparse.py); size: of
    smaller dynamics, to which the world is the teacher; prune: the share of the MLPs' channels to go, the world being
    the teacher again. The last three are trained for `minutes` (15 by default, or exactly `steps`) on `data`, by
    default those that the world was trained on. Pruning can do without (0 minutes), as the channels that stay are
    fitted to make up for those that go. Weights of few bits are trained if `minutes` or `steps` are given, rounded in
    every step, the world being the teacher. What was done is kept in `out`, so that the same call goes on after an
    interruption. Raises `ConfigError`, `CheckpointError`, and for data that cannot be used `DatasetError` or
    `JudgeError`.
    """
    asked = {"bits": bits, "sparse": sparse, "size": size, "prune": prune}
    given = [name for name, value in asked.items() if value is not None]
    if len(given) != 1:
        got = " and ".join(given) or "none"
        raise ConfigError(
            f"`bits`, `sparse`, `size` or `prune` must be given, one of them, got {got}. Take --bits 4.5."
        )
    if bits is not None:
        check_mean_bits(bits)
    source, target = find_world(world), Path(out)
    if target.resolve() == source.resolve():
        raise ConfigError(f"`out` must be another folder than the world's own, got {str(out)!r}. Choose a new one.")
    loaded = load_world(source)
    refuse_packed(loaded)
    if minutes is None:
        minutes = 0.0 if bits is not None else MINUTES
    trains = bool(minutes or steps)
    kind = "bits" if bits is not None and not trains else f"{given[0]} {asked[given[0]]}"
    task = {"world": identity_of(loaded), "kind": kind}
    refuse_other(target, task)
    probe, packing, mean_bits = Probe(loaded), None, None
    shape = loaded.config.dynamics if bits is not None else changed_shape(loaded, sparse, size, prune)
    folder = data_of(loaded, data) if trains else None
    with only_writer(target / "compress", ".compressing", "compressed"):
        write_atomic(target / "compress" / "task.json", json.dumps(task))
        made = loaded
        if bits is not None:
            done = quantized(loaded, bits, probe, Measured.of(loaded, target / "compress"), quiet)
            made, packing, mean_bits = done.world, done.packing, done.mean_bits
        elif prune is not None and not trains:
            made = pruned_world(loaded, prune, probe)
        if folder is None:
            save_world(made, target, packing=packing)
        else:
            config = settings_of(loaded, minutes, steps, anew=size is not None)
            said = {given[0]: asked[given[0]] if mean_bits is None else round(mean_bits, 3), "of": loaded.config.name}
            start = made.dynamics.state_dict()
            if size is not None:
                start = known_to_student(loaded)
            elif prune is not None:
                start = pruned_weights(loaded, shape.hidden, input_products(loaded, probe))
            teacher = None if sparse is not None else Teacher(loaded.dynamics.requires_grad_(False))
            made = finetune(made, shape, start, folder, target, config, said, quiet, teacher, packing)
    taken = (target / "weights.safetensors").stat().st_size
    return Compressed(str(target), taken / 1e6, float32_mb(loaded), float(psnr_of(probe.error(made))), mean_bits)


def changed_shape(world: World, sparse: str | None, size: str | None, prune: float | None) -> DynamicsConfig:
    """Return the shape of the dynamics that were asked for. Raises `ConfigError`."""
    if prune is not None:
        return pruned_shape(world, prune)
    return student_shape(world, size) if size is not None else sparse_shape(world, sparse or "")


def identity_of(world: World) -> str:
    """Return what tells a world's weights from others."""
    return weights_digest(world.tokenizer) + weights_digest(world.dynamics)


def float32_mb(world: World) -> float:
    """Return what a world's weights take as float32, in MB."""
    return sum(4 * weight.numel() for weight in weights_of(world).values()) / 1e6


def refuse_other(folder: Path, task: dict[str, str]) -> None:
    """Raise `ConfigError` if `folder` holds a world that was not made by the same task."""
    file = folder / "compress" / "task.json"
    try:
        known = read_json(file, "what was done to a world") if file.exists() else None
    except CheckpointError:
        known = {}
    if known is None and not (folder / "config.json").exists():
        return
    if known != task:
        raise ConfigError(
            f"`out` must be a new folder, got {str(folder)!r}, which holds another world. Choose a new one."
        )


def quantized(world: World, bits: float, probe: Probe, measured: Measured, quiet: bool = True) -> Quantized:
    """Return `world` with weights of `bits` on average, measuring with its `probe` only what is not known yet."""
    return quantize_weights(world, bits, probe, measured.load(set(packable(world))), quiet, measured.add)


class Measured:
    """Sensitivities as a file that grows: `file`; of the world with this digest."""

    def __init__(self, file: Path, digest: str) -> None:
        self.file, self.digest = file, digest
        self.found: dict[str, dict[int, float]] = {}

    @classmethod
    def of(cls, world: World, folder: Path) -> Measured:
        """Return the file of a world's sensitivities, in `folder`."""
        return cls(folder / "sensitivity.json", identity_of(world))

    def load(self, names: set[str]) -> dict[str, dict[int, float]]:
        """Return what an earlier call found of weights `names`; nothing if it was of another world or is damaged."""
        if not self.file.exists():
            return {}
        try:
            values = read_json(self.file, "what was measured of a world")
        except CheckpointError:
            return {}  # it is measured again
        rows = values.get("errors", {}) if values.get("world") == self.digest else {}
        self.found = {
            name: {int(b): float(error) for b, error in row.items()}
            for name, row in rows.items()
            if name in names and set(row) == {str(b) for b in BITS}
        }
        return dict(self.found)

    def add(self, name: str, errors: dict[int, float]) -> None:
        """Keep what was found of one weight."""
        self.found[name] = errors
        write_atomic(self.file, json.dumps({"world": self.digest, "errors": self.found}))
