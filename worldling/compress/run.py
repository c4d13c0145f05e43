"""`worldling compress`: a world in, a smaller one out. Stopped at any time, the same command goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from worldling.checkpoint import read_json
from worldling.compress.quantize import Quantized, check_mean_bits, quantize_weights, refuse_packed
from worldling.compress.sensitivity import packable
from worldling.config import write_atomic
from worldling.errors import CheckpointError, ConfigError
from worldling.folder_lock import only_writer
from worldling.frame_error import psnr_of
from worldling.learn.latents import weights_digest
from worldling.packed import BITS
from worldling.world import World
from worldling.world_files import find_world, load_world, save_world


@dataclass(frozen=True)
class Compressed:
    """What was written.

    path; megabytes: of its weights, and of those before as float32; mean_bits: of a packed weight, scales included;
    psnr_db: of its roll-outs over some frames, against those before.
    """

    path: str
    megabytes: float
    megabytes_before: float
    mean_bits: float
    psnr_db: float


def compress(world: str | Path, out: str | Path, bits: float, quiet: bool = True) -> Compressed:
    """Write the world in folder `world` (or a bundled one) with weights of `bits` on average to folder `out`.

    What was measured on the way is kept in `out / "compress"`, so that the same call goes on after an interruption, and
    another one with other `bits` is quick. Raises `ConfigError` or `CheckpointError`.
    """
    check_mean_bits(bits)
    source, target = find_world(world), Path(out)
    if target.resolve() == source.resolve():
        raise ConfigError(f"`out` must be another folder than the world's own, got {str(out)!r}. Choose a new one.")
    if (target / "config.json").exists() and not (target / "compress").is_dir():
        raise ConfigError(f"`out` must be a new folder, got {str(out)!r}, which holds another world. Choose a new one.")
    loaded = load_world(source)
    refuse_packed(loaded)
    with only_writer(target / "compress", ".compressing", "compressed"):
        done = quantized(loaded, bits, Measured.of(loaded, target / "compress" / "sensitivity.json"), quiet)
        save_world(done.world, target, packing=done.packing)
    numbers = sum(p.numel() for p in (*loaded.tokenizer.parameters(), *loaded.dynamics.parameters()))
    size = (target / "weights.safetensors").stat().st_size
    return Compressed(str(target), size / 1e6, 4 * numbers / 1e6, done.mean_bits, float(psnr_of(done.error)))


def quantized(world: World, bits: float, measured: Measured, quiet: bool = True) -> Quantized:
    """Return `world` with weights of `bits` on average, measuring only what is not known yet."""
    return quantize_weights(world, bits, measured.load(set(packable(world))), quiet, measured.add)


class Measured:
    """Sensitivities as a file that grows: `file`; of the world with this digest."""

    def __init__(self, file: Path, digest: str) -> None:
        self.file, self.digest = file, digest
        self.found: dict[str, dict[int, float]] = {}

    @classmethod
    def of(cls, world: World, file: Path) -> Measured:
        """Return the file of a world's sensitivities."""
        return cls(file, weights_digest(world.tokenizer) + weights_digest(world.dynamics))

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
