"""How the weights of an exported graph are stored: as float32, float16, or codes of few bits with scales.

Weights of few bits (packed.py) are stored as one byte each, whatever their bits: what is left over, the gzip of a page
takes away. The nodes that turn codes into float32 weights stand in front of the graph, and onnxruntime folds them into
constants when it loads it, so that a frame costs what it costs with float32 weights.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from worldling.backend import Reference
from worldling.errors import ExportError
from worldling.packed import Packing, can_pack, codes, rounded, scales
from worldling.world import World
from worldling.world_files import read_packing, weights_of

if TYPE_CHECKING:
    import onnx

#: Bits that the weights of an exported world may have. Fewer than 8 need `worldling compress`, which chooses them.
EXPORT_BITS = (32, 16, 8)
#: Weights of at least so many numbers are stored in fewer than 32 bits.
LEAST = 64


def check_bits(bits: int) -> None:
    """Raise `ExportError` unless weights can be exported in `bits`."""
    if bits not in EXPORT_BITS:
        known = ", ".join(map(str, EXPORT_BITS))
        raise ExportError(
            f"`bits` must be one of {known}, got {bits}. For fewer: worldling compress WORLD --bits 4.5, then export."
        )


@torch.inference_mode()
def narrowed(world: World, bits: int) -> tuple[World, Packing]:
    """Return the world to export, and how its weights are packed.

    bits: 8 rounds a copy to 8 bits a weight; 16 or 32 leave `world` as it is, whose weights may be of few bits already.
    """
    before = read_packing(world)
    if bits != 8 or before.bits:
        return world, before if bits < 32 else Packing()
    found = copy.copy(world)
    found.tokenizer, found.dynamics = copy.deepcopy(world.tokenizer), copy.deepcopy(world.dynamics)
    found.outcome = copy.deepcopy(world.outcome)
    packing = Packing()
    for name, weight in weights_of(found).items():
        if weight.dtype is torch.float32 and weight.numel() >= LEAST and can_pack(weight.shape):
            packing.bits[name], packing.scales[name] = bits, scales(weight, bits)
            weight.copy_(rounded(weight, bits, packing.scales[name]))
    found.backend = Reference(found)
    return found, packing


def store(model: onnx.ModelProto, world: World, packing: Packing, bits: int) -> None:
    """Store the large weights of a graph of `world` in few bits, in place.

    Those of `packing` as codes, others as float16 unless `bits` is 32; beside codes only those that float16 holds
    exactly, since what an exporter has computed from rounded weights, such as a table of biases, must go with them.
    """
    from onnx import TensorProto, helper, numpy_helper

    own = {name: weight for name, weight in weights_of(world).items() if name in packing.bits}
    nodes: list[onnx.NodeProto] = []
    kept: list[onnx.TensorProto] = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        large = values.dtype == np.float32 and values.size >= LEAST
        small, known = values.astype(np.float16) if large else values, _which(own, values) if large else None
        if known is not None:
            tensors, unpacking = _unpacking(weight.name, own[known[0]], packing, *known)
            kept += tensors
            nodes += unpacking
        elif large and bits < 32 and np.isfinite(small).all() and (not own or np.array_equal(small, values)):
            kept.append(numpy_helper.from_array(small, f"{weight.name}.half"))
            nodes.append(helper.make_node("Cast", [f"{weight.name}.half"], [weight.name], to=TensorProto.FLOAT))
        else:
            kept.append(weight)
    nodes += model.graph.node
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)


def _which(own: Mapping[str, Tensor], values: np.ndarray) -> tuple[str, bool] | None:
    """Return the name of the weight that an array is, and whether it is its transpose; None if it is none of them.

    An exporter names weights as it likes, and turns matrices over, so they are known by their values.
    """
    for name, weight in own.items():
        for turned in (False, True) if weight.ndim == 2 else (False,):
            wanted = weight.t() if turned else weight
            if wanted.shape == values.shape and np.array_equal(wanted.numpy(), values):
                return name, turned
    return None


def _unpacking(target: str, weight: Tensor, packing: Packing, name: str, turned: bool) -> tuple[list[Any], list[Any]]:
    """Return the tensors that hold a packed weight, and the nodes that make it float32 under the name `target`."""
    from onnx import TensorProto, helper, numpy_helper

    bits, scale = packing.bits[name], packing.scales[name]
    code = codes(weight, bits, scale).to(torch.uint8).numpy()
    rows, count, flat = len(weight), int(np.prod(weight.shape[1:])), code.shape[1] * code.shape[2]
    shape = np.array(weight.shape, np.int64)
    held = {
        "codes": code, "scales": scale.half().numpy()[..., None], "middle": np.float32((2**bits - 1) / 2),
        "flat": np.array([rows, flat], np.int64), "from": np.array([0], np.int64), "to": np.array([count], np.int64),
        "axis": np.array([1], np.int64), "shape": shape,
    }  # fmt: skip
    tensors = [numpy_helper.from_array(np.asarray(value), f"{target}.{key}") for key, value in held.items()]

    def node(kind: str, inputs: list[str], output: str, **options: Any) -> Any:
        return helper.make_node(kind, [f"{target}.{key}" for key in inputs], [output], **options)

    shaped = f"{target}.shaped" if turned else target
    nodes = [
        node("Cast", ["codes"], f"{target}.whole", to=TensorProto.FLOAT),
        node("Cast", ["scales"], f"{target}.scale", to=TensorProto.FLOAT),
        node("Sub", ["whole", "middle"], f"{target}.centred"),
        node("Mul", ["centred", "scale"], f"{target}.levels"),
        node("Reshape", ["levels", "flat"], f"{target}.rows"),
        node("Slice", ["rows", "from", "to", "axis"], f"{target}.cut"),
        node("Reshape", ["cut", "shape"], shaped),
    ]
    if turned:
        nodes.append(helper.make_node("Transpose", [shaped], [target], perm=[1, 0]))
    return tensors, nodes
