"""Read and write worlds and training checkpoints: safetensors and json, never pickle; each file complete or not at all.

world/
  config.json           sizes of the networks, action space
  weights.safetensors   float16 or float32; matrices may be packed (packed.py)
  card.json             data, cost and quality
  contexts/             a few real clips to start from, as a data set
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worldling.config import write_atomic
from worldling.errors import CheckpointError
from worldling.packed import stored, unpack
from worldling.untrusted import MOST_JSON_BYTES, parse_json, printable, read_json_file, regular_file

#: Largest file of tensors that is read; a training state of 50 M parameters takes 0.8 GB.
MOST_TENSOR_BYTES = 16 * 2**30


def write_tensors(path: str | Path, tensors: dict[str, Tensor], meta: dict[str, Any] | None = None) -> None:
    """Write named tensors and json `meta` as one safetensors file, atomically."""
    from safetensors.torch import save

    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    write_atomic(path, save(plain, {"worldling": json.dumps(meta or {})}))


def read_tensors(
    path: str | Path, shapes: Mapping[str, Sequence[int]] | None = None, inside: Path | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    shapes: the tensors that must be there, and no others, in fp16, bf16, fp32 or packed, compared before any is read;
    packed ones are unpacked to fp32; None takes what there is. inside: a folder that no link may lead out of. Raises
    `CheckpointError` on a missing, truncated or foreign file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"`{path}` must be a safetensors file, got nothing. Check the name.")
    size = 0
    try:
        size = regular_file(path, MOST_TENSOR_BYTES, inside)
        header = _read_header(path)
        meta = header.pop("__metadata__", {}).get("worldling")
        if meta is not None:
            meta = parse_json(meta)
            if not isinstance(meta, dict) or not isinstance(bits := meta.get("bits", {}), dict):
                raise ValueError("metadata that are no object")
            if shapes is not None:
                _check_header(header, stored(shapes, bits), path)
            tensors = load(path.read_bytes())
            if shapes is not None:
                tensors |= {name: unpack(tensors, name, shapes[name], width) for name, width in bits.items()}
    except (SafetensorError, struct.error, ValueError, AttributeError, TypeError) as error:
        raise CheckpointError(
            f"`{path}` must be a complete safetensors file, got {size:,} bytes that cannot be read ({error}). "
            "It is truncated or damaged: copy or make it again."
        ) from None
    if meta is None:
        raise CheckpointError(
            f"`{path}` must have been written by worldling, got a foreign safetensors file. Give another."
        )
    return tensors, meta


def _read_header(path: Path) -> dict[str, Any]:
    """Return the header of a safetensors file: dtype and shape of each tensor. Raises `ValueError`."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MOST_JSON_BYTES:
            raise ValueError(f"a header of {length:,} bytes")
        header = parse_json(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("a header that is no object")
    return header


def _check_header(header: dict[str, Any], wanted: Mapping[str, tuple[list[int], tuple[str, ...]]], path: Path) -> None:
    """Raise `CheckpointError` unless a file claims to hold the tensors of `packed.stored`, and no others."""
    again = f"in {path}. The weights belong to another config.json: copy the whole folder again."
    for name in sorted(header.keys() - wanted.keys()):
        raise CheckpointError(f"`{printable(name)}` must be no tensor of this world, got one {again}")
    for name, (shape, dtypes) in wanted.items():
        found = header.get(name, {})
        if found.get("shape") != shape:
            raise CheckpointError(f"`{name}` must have shape {shape}, got {found.get('shape', 'nothing')} {again}")
        if found.get("dtype") not in dtypes:
            raise CheckpointError(f"`{name}` must be {' or '.join(dtypes)}, got {found.get('dtype')!r:.40} {again}")


def load_into(module: torch.nn.Module, tensors: dict[str, Tensor], prefix: str, path: str | Path) -> None:
    """Copy the tensors named `prefix...` into `module`.

    Raises `CheckpointError` unless names and shapes agree and all numbers are finite.
    """
    own = {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
    wanted = module.state_dict()
    for name, value in wanted.items():
        if name not in own or own[name].shape != value.shape:
            got = list(own[name].shape) if name in own else "nothing"
            raise CheckpointError(
                f"`{prefix}{name}` must have shape {list(value.shape)}, got {got} in {path}. "
                "The weights belong to another config.json: copy the whole folder again."
            )
        if not own[name].isfinite().all():
            raise CheckpointError(
                f"`{prefix}{name}` must hold finite numbers, got NaN or infinity in {path}. Copy the folder again."
            )
    module.load_state_dict({name: own[name].to(value.dtype) for name, value in wanted.items()})


def read_json(path: str | Path, what: str, inside: Path | None = None) -> dict[str, Any]:
    """Read one json object; inside: a folder that no link may lead out of.

    Raises `CheckpointError` if it is not there, not an object, or larger or more deeply nested than any of ours.
    """
    path = Path(path)
    try:
        value = read_json_file(path, inside)
    except FileNotFoundError:
        raise CheckpointError(f"`{path}` must be {what}, got no such file. Check the folder's name.") from None
    except ValueError as error:
        raise CheckpointError(f"`{path}` must be {what} in json, got {error}. Copy the folder again.") from None
    if not isinstance(value, dict):
        raise CheckpointError(
            f"`{path}` must be {what} as an object, got {type(value).__name__}. Copy the folder again."
        )
    return value
