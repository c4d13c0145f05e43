"""Save a world to a folder, and load it with checks. The files are listed in checkpoint.py."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldling.checkpoint import load_into, read_json, read_tensors, write_tensors
from worldling.config import finite, from_dict, to_dict, write_atomic
from worldling.data.dataset import DatasetMeta
from worldling.data.store import DatasetWriter, open_dataset
from worldling.dynamics.model import Dynamics
from worldling.dynamics.outcome import Outcome
from worldling.errors import ActionError, CheckpointError, ConfigError, DatasetError, nearest
from worldling.packed import Packing, pack
from worldling.tokenizer.model import Tokenizer
from worldling.types import Episode
from worldling.untrusted import printable, read_bytes
from worldling.world import World, WorldConfig
from worldling.world_limits import check_card, check_settings

FORMAT = "worldling-world-1"
BUNDLED = Path(__file__).parent / "worlds"
#: Clips to start from, and bytes of their frames; bytes of mean.png.
MOST_CONTEXTS, MOST_CONTEXT_BYTES, MOST_PICTURE_BYTES = 1000, 512 * 2**20, 16 * 2**20


def bundled_worlds() -> list[str]:
    """Return the names of the worlds that come with the package."""
    return sorted(p.parent.name for p in BUNDLED.glob("*/config.json"))


def boundary(path: Path) -> Path | None:
    """Return the folder that no link in the world at `path` may lead out of: itself, none for a bundled one.

    An installer may link the files of a package to its own store.
    """
    return None if path.parent == BUNDLED else path


def find_world(name_or_path: str | Path) -> Path:
    """Return the folder of a bundled world or a path. Raises `CheckpointError`."""
    path = Path(name_or_path)
    if (path / "config.json").is_file():
        return path
    if str(name_or_path) in bundled_worlds():
        return BUNDLED / str(name_or_path)
    if (path / "train").is_dir():
        raise CheckpointError(
            f"`world` must be trained before it is used, got {str(name_or_path)!r}, whose training is not that far. "
            "Wait for it, or run the same worldling train again to go on."
        )
    raise CheckpointError(
        f"`world` must be a world's folder or the name of a bundled one, got {str(name_or_path)!r}. "
        f"{nearest(str(name_or_path), bundled_worlds()) if bundled_worlds() else 'Train one first.'}"
    )


def save_world(world: World, path: str | Path, half: bool = True, packing: Packing | None = None) -> Path:
    """Write `world` to folder `path`, replacing existing files one by one; half: weights as float16.

    packing: which weights, by their names in `weights_of`, are written in few bits. config.json is written last, so
    that a folder that has one is complete.
    """
    from PIL import Image

    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    packing, tensors = packing or Packing(), dict[str, torch.Tensor]()
    for name, weight in weights_of(world).items():
        if name in packing.bits:
            tensors |= pack(name, weight, packing.bits[name], packing.scales.get(name))
        else:
            tensors[name] = weight.half() if half else weight
    meta = {"format": FORMAT, **({"bits": packing.bits} if packing.bits else {})}
    write_tensors(path / "weights.safetensors", tensors, meta)
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


def weights_of(world: World) -> dict[str, torch.Tensor]:
    """Return all weights of a world by the names under which they are saved."""
    return {
        f"{prefix}.{name}": weight
        for prefix, network in networks_of(world).items()
        for name, weight in network.state_dict().items()
    }


def networks_of(world: World) -> dict[str, torch.nn.Module]:
    """Return the networks of a world, by the prefix of their weights' names."""
    found = {"tokenizer": world.tokenizer, "dynamics": world.dynamics, "outcome": world.outcome}
    return {prefix: network for prefix, network in found.items() if network is not None}


def _save_contexts(world: World, path: Path) -> None:
    """Write the clips to start from, all or none, and replace the old ones."""
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
    """Read a world; weights become fp32.

    The folder may come from a stranger: nothing in it is executed, sizes are checked before anything is allocated, and
    no link may lead out of it. Raises `CheckpointError` on anything missing, cut off or foreign.
    """
    path = find_world(name_or_path)
    config = read_config(path)
    with torch.device("meta"):
        networks = _networks(config)
    shapes = {f"{p}.{name}": t.shape for p, network in networks.items() for name, t in network.state_dict().items()}
    tensors, meta = read_tensors(path / "weights.safetensors", shapes, boundary(path))
    if meta.get("format") != FORMAT:
        raise CheckpointError(
            f"`{path}` must hold the weights of a world, got {meta.get('format')!r}. Copy the folder again."
        )
    networks = _networks(config)
    for prefix, network in networks.items():
        load_into(network, tensors, f"{prefix}.", path)
        network.to(device)
    contexts, mean, card = read_clips(path, config), _read_mean(path, config), read_card(path)
    return World(config, card=card, contexts=contexts, mean_frame=mean, path=path, **networks)


def read_packing(world: World) -> Packing:
    """Return how the weights of `world` are packed in its folder; those that have changed since it was read are not."""
    if world.path is None or not (world.path / "weights.safetensors").is_file():
        return Packing()
    own = weights_of(world)
    shapes = {name: weight.shape for name, weight in own.items()}
    tensors, meta = read_tensors(world.path / "weights.safetensors", shapes, boundary(world.path))
    same = {name: int(bits) for name, bits in meta.get("bits", {}).items() if torch.equal(own[name], tensors[name])}
    return Packing(same, {name: tensors[f"{name}#scales"].float() for name in same})


def _networks(config: WorldConfig) -> dict[str, Any]:
    """Return the networks of a world, by the prefix of their tensors, with random weights."""
    shape = config.dynamics
    made: dict[str, Any] = {"tokenizer": Tokenizer(config.tokenizer), "dynamics": Dynamics(shape)}
    if config.outcome.is_there:
        made["outcome"] = Outcome(config.outcome, shape.tokens, shape.channels, shape.action_size)
    return made


def read_config(path: Path) -> WorldConfig:
    """Read and check the settings of the world in folder `path`. Raises `CheckpointError`."""
    file = path / "config.json"
    values = read_json(file, "a world's settings", boundary(path))
    if values.pop("format", None) != FORMAT:
        raise CheckpointError(
            f"`{file}` must have format {FORMAT!r}, got a foreign or newer file. "
            "Give a folder that worldling wrote, or upgrade worldling."
        )
    try:
        config = from_dict(WorldConfig, values, "world")
        check_settings(config)
    except ConfigError as error:
        raise CheckpointError(f"`{file}` must describe a world: {error}") from None
    return config


def read_card(path: Path) -> dict[str, Any]:
    """Read and check the card of the world in folder `path`; empty if there is none. Raises `CheckpointError`."""
    file = path / "card.json"
    if not file.exists():
        return {}
    card = read_json(file, "a world's card", boundary(path))
    try:
        check_card(card)
    except ConfigError as error:
        raise CheckpointError(f"`{file}` must be a world's card: {error}") from None
    return card


def read_clips(path: Path, config: WorldConfig) -> list[Episode]:
    """Read the clips to start from. Raises `CheckpointError` if they do not fit the world, or take too much memory."""
    folder = path / "contexts"
    if not folder.is_dir():
        return []
    try:
        dataset = open_dataset(folder, boundary(path))
        ours, theirs = config.action_space, dataset.meta.action_space
        fits = ours.same_actions(theirs)
        fits = fits and dataset.meta.size_px == config.tokenizer.size_px
        size = dataset.num_frames * dataset.meta.size_px**2 * 3
        if not fits or len(dataset) > MOST_CONTEXTS or size > MOST_CONTEXT_BYTES:
            raise DatasetError(
                f"`{folder}` must hold at most {MOST_CONTEXTS} clips of the world's size and actions, got "
                f"{len(dataset)} with {size:,} bytes of {dataset.meta.size_px} px. Copy the folder again."
            )
        clips = list(dataset)
        dataset.close()
        for clip in clips:
            config.action_space.check(clip.actions, (len(clip) - 1,))
    except (DatasetError, ActionError) as error:
        raise CheckpointError(f"`{path}` must hold whole clips to start from: {error}") from None
    return clips


def _read_mean(path: Path, config: WorldConfig) -> np.ndarray | None:
    """Read mean.png, if there is one. Raises `CheckpointError` unless it is a PNG of the size of the world's frames."""
    from PIL import Image, UnidentifiedImageError

    file, size = path / "mean.png", config.tokenizer.size_px
    if not file.exists():
        return None
    try:
        data = read_bytes(file, MOST_PICTURE_BYTES, boundary(path))
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if picture.size != (size, size):  # known before anything is unpacked
                raise ValueError(f"a picture of {picture.size[0]} x {picture.size[1]}")
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        got = "another file" if isinstance(error, UnidentifiedImageError) else printable(str(error))
        raise CheckpointError(
            f"`{file}` must be a PNG picture of {size} x {size}, got {got}. Copy the folder again."
        ) from None
