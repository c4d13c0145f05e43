"""Worlds and training states on disk: safetensors, json, never pickle; whole files or nothing.

world/
  config.json           what the networks are
  weights.safetensors   float16 or float32
  card.json             data, cost and quality, for people
  contexts.h5           a few real clips to start from
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worldling.config import write_atomic
from worldling.errors import CheckpointError


def write_tensors(path: str | Path, tensors: dict[str, Tensor], meta: dict[str, Any] | None = None) -> None:
    """Write named tensors and json `meta` as one safetensors file, atomically."""
    from safetensors.torch import save

    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    write_atomic(path, save(plain, {"worldling": json.dumps(meta or {})}))


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote. Raises `CheckpointError` on a missing, truncated or foreign file."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"`{path}` must be a safetensors file, got nothing. Check the name.")
    data = path.read_bytes()
    try:
        tensors = load(data)
        (length,) = struct.unpack("<Q", data[:8])
        meta = json.loads(data[8 : 8 + length]).get("__metadata__", {}).get("worldling")
    except (SafetensorError, struct.error, ValueError) as error:
        raise CheckpointError(
            f"`{path}` must be a whole safetensors file, got {len(data):,} bytes that cannot be read ({error}). "
            "It was cut off or damaged: copy or make it again."
        ) from None
    if meta is None:
        raise CheckpointError(
            f"`{path}` must have been written by worldling, got a foreign safetensors file. Give another."
        )
    return tensors, json.loads(meta)


def load_into(module: torch.nn.Module, tensors: dict[str, Tensor], prefix: str, path: str | Path) -> None:
    """Copy the tensors named `prefix...` into `module`; raises `CheckpointError` unless names and shapes agree."""
    own = {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
    wanted = module.state_dict()
    for name, value in wanted.items():
        if name not in own or own[name].shape != value.shape:
            got = list(own[name].shape) if name in own else "nothing"
            raise CheckpointError(
                f"`{prefix}{name}` must have shape {list(value.shape)}, got {got} in {path}. "
                "The weights belong to another config.json: copy the whole folder again."
            )
    module.load_state_dict({name: own[name].to(value.dtype) for name, value in wanted.items()})


def read_json(path: str | Path, what: str) -> dict[str, Any]:
    """Read one json object. Raises `CheckpointError` if it is not there or not an object."""
    path = Path(path)
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise CheckpointError(f"`{path}` must be {what}, got no such file. Check the folder's name.") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise CheckpointError(f"`{path}` must be {what} in json, got {error}. Copy the folder again.") from None
    if not isinstance(value, dict):
        raise CheckpointError(
            f"`{path}` must be {what} as an object, got {type(value).__name__}. Copy the folder again."
        )
    return value
