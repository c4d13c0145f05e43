"""A world's folder: written whole, read with checks. See checkpoint.py for what lies in it."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch

from worldling.checkpoint import load_into, read_json, read_tensors, write_tensors
from worldling.config import finite, from_dict, to_dict, write_atomic
from worldling.data.dataset import DatasetMeta
from worldling.data.store import DatasetWriter, open_dataset
from worldling.dynamics.model import Dynamics
from worldling.dynamics.outcome import Outcome
from worldling.errors import CheckpointError, ConfigError, nearest
from worldling.tokenizer.model import Tokenizer
from worldling.types import Episode
from worldling.world import World, WorldConfig

FORMAT = "worldling-world-1"
BUNDLED = Path(__file__).parent / "worlds"


def bundled_worlds() -> list[str]:
    """Return the names of the worlds that come with the package."""
    return sorted(p.parent.name for p in BUNDLED.glob("*/config.json"))


def find_world(name_or_path: str | Path) -> Path:
    """Return the folder of a bundled world or a path. Raises `CheckpointError`."""
    path = Path(name_or_path)
    if (path / "config.json").is_file():
        return path
    if str(name_or_path) in bundled_worlds():
        return BUNDLED / str(name_or_path)
    raise CheckpointError(
        f"`world` must be a world's folder or the name of a bundled one, got {str(name_or_path)!r}. "
        f"{nearest(str(name_or_path), bundled_worlds()) if bundled_worlds() else 'Train one first.'}"
    )


def save_world(world: World, path: str | Path, half: bool = True) -> Path:
    """Write `world` to folder `path`, replacing what is there file by file; half: weights as float16.

    config.json comes last, so that a folder with one is complete.
    """
    from PIL import Image

    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    tensors = {f"tokenizer.{k}": v for k, v in world.tokenizer.state_dict().items()}
    tensors |= {f"dynamics.{k}": v for k, v in world.dynamics.state_dict().items()}
    if world.outcome is not None:
        tensors |= {f"outcome.{k}": v for k, v in world.outcome.state_dict().items()}
    if half:
        tensors = {k: v.half() for k, v in tensors.items()}
    write_tensors(path / "weights.safetensors", tensors, {"format": FORMAT})
    if world.mean_frame is not None:
        picture = io.BytesIO()
        Image.fromarray(world.mean_frame).save(picture, "png")
        write_atomic(path / "mean.png", picture.getvalue())
    write_atomic(path / "card.json", json.dumps(finite(world.card), indent=2) + "\n")
    if world.contexts:
        _save_contexts(world, path / "contexts")
    write_atomic(path / "config.json", json.dumps({"format": FORMAT, **to_dict(world.config)}, indent=2) + "\n")
    world.path = path
    return path


def _save_contexts(world: World, path: Path) -> None:
    """Write the clips to start from, whole, in place of those before."""
    source = from_dict(DatasetMeta, world.card["source"], "card.source")
    fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=".contexts."))
    try:
        with DatasetWriter(fresh, source) as writer:
            for episode in world.contexts:
                writer.write(episode)
        fresh.chmod(0o755)
        shutil.rmtree(path, ignore_errors=True)
        fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def load_world(name_or_path: str | Path, device: str | torch.device = "cpu") -> World:
    """Read a world; weights become fp32. Raises `CheckpointError` on anything missing, cut off or foreign."""
    from PIL import Image

    path = find_world(name_or_path)
    values = read_json(path / "config.json", "a world's settings")
    if values.pop("format", None) != FORMAT:
        raise CheckpointError(
            f"`{path / 'config.json'}` must have format {FORMAT!r}, got a foreign or newer file. "
            "Give a folder that worldling wrote, or upgrade worldling."
        )
    try:
        config = from_dict(WorldConfig, values, "world")
    except ConfigError as error:
        raise CheckpointError(f"`{path / 'config.json'}` must describe a world: {error}") from None
    tensors, meta = read_tensors(path / "weights.safetensors")
    if meta.get("format") != FORMAT:
        raise CheckpointError(
            f"`{path}` must hold the weights of a world, got {meta.get('format')!r}. Copy the folder again."
        )
    tokenizer, dynamics = Tokenizer(config.tokenizer), Dynamics(config.dynamics)
    load_into(tokenizer, tensors, "tokenizer.", path)
    load_into(dynamics, tensors, "dynamics.", path)
    outcome = None
    if config.outcome.is_there:
        shape = config.dynamics
        outcome = Outcome(config.outcome, shape.tokens, shape.channels, shape.action_size)
        load_into(outcome, tensors, "outcome.", path)
        outcome = outcome.to(device)
    contexts: list[Episode] = list(open_dataset(path / "contexts")) if (path / "contexts").is_dir() else []
    mean = np.asarray(Image.open(path / "mean.png").convert("RGB")) if (path / "mean.png").is_file() else None
    card = read_json(path / "card.json", "a world's card") if (path / "card.json").is_file() else {}
    return World(config, tokenizer.to(device), dynamics.to(device), card, contexts, mean, path, outcome)
