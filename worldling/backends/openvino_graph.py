"""OpenVINO graphs of a world: export from its modules, save, load.

A graph on disk has a free batch axis. It is compiled for a fixed batch size when that size is first used.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from worldling.backends import cache
from worldling.errors import BackendError
from worldling.tick import CellTick, FlatCellTick, FlatTick, Tick
from worldling.world import World

if TYPE_CHECKING:
    import openvino as ov


def import_openvino() -> Any:
    """Return the openvino module, or raise `BackendError` naming the package to install."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # or it reports to Google
    try:
        import openvino
    except ImportError as error:
        raise BackendError(f'`backend` must be installed, got {error}. Run: pip install "worldling[fast]".') from None
    return openvino


@functools.cache
def core() -> ov.Core:
    """Return OpenVINO's core, one for the whole process.

    Each new core replaces the thread's signal stack. If the older of two is freed first, the younger restores its freed
    stack, and the next Ctrl-C is a segmentation fault (seen with 2026.4.1).
    """
    return import_openvino().Core()


def file_name(world: World, name: str, kind: str = "") -> str:
    """Return the name under which this world's graph for backend `name` is cached; kind: what it makes, not frames."""
    version, calibrated = import_openvino().__version__, name == "openvino-int8"
    return f"{name}{kind}-{cache.fingerprint(world, version, clips=calibrated)}.xml"


def is_built(world: World, name: str) -> bool:
    """Return whether the graph of backend `name` is in the cache."""
    return cache.find(world, file_name(world, name)).path is not None


def export(world: World, cells: bool = False) -> ov.Model:
    """Return one frame's computation, of tensors as in `FlatTick`, as an f32 graph whose batch axis is free.

    cells: that of some cells, of tensors as in `FlatCellTick`; their number is free too.
    """
    example = world.inputs(world.empty_state(2, torch.float32), torch.zeros(2, world.action_space.size)).flat()
    tick = Tick(world.tokenizer, world.dynamics, decode=not cells)
    if cells:
        some = torch.arange(8).view(2, 4) % world.dynamics.config.tokens
        model = convert(FlatCellTick(CellTick(tick)), (some, torch.arange(2), *example), free=1)
    else:
        model = convert(FlatTick(tick), example)
    for node in [op for op in model.get_ops() if op.get_type_name() == "TopK"]:
        _replace_argmax(node)
    return model


def convert(module: torch.nn.Module, example: tuple[Tensor, ...], free: int = 0) -> ov.Model:
    """Return a module's computation as an f32 graph whose batch axis is free; example: its inputs, of two rows.

    free: how many of the first inputs have a free second axis, too.
    """
    import warnings

    ov = import_openvino()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of every fixed shape; all are constants of the world
        shapes = [[-1, -1, *t.shape[2:]] if i < free else [-1, *t.shape[1:]] for i, t in enumerate(example)]
        return ov.convert_model(module, example_input=example, input=[ov.PartialShape(shape) for shape in shapes])


def _replace_argmax(top: ov.Node) -> None:
    """Replace an argmax over the few levels of a channel by comparisons, 10x faster: OpenVINO's is for long axes."""
    import openvino.opset13 as op

    scores, index = top.input_value(0), top.output(1)
    levels = scores.get_partial_shape()[-1].get_length()
    planes = op.transpose(scores, op.constant([3, 0, 1, 2]))  # planes [1, B, N, C] split without a copy
    first, *others = op.split(planes, op.constant(0), levels).outputs()
    best, winner = first, op.constant(0.0)
    for number, score in enumerate(others, 1):
        winner = op.select(op.greater(score, best), op.constant(float(number)), winner)
        best = op.maximum(score, best)
    for reader in list(index.get_target_inputs()):
        level = op.reshape(op.convert(winner, index.get_element_type()), op.shape_of(index), False)
        reader.replace_source_output(level.output(0))


def read(path: Path) -> ov.Model:
    """Load a graph. Raises `BackendError` if the file is damaged."""
    try:
        return core().read_model(path)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise BackendError(
            f"`{path}` must be a complete graph, got: {reason}. Delete it; it is then built again."
        ) from None


def save(world: World, model: ov.Model, file: str, compress: bool, origin: str = "built now") -> cache.Found:
    """Save a graph for the next start; returns where it lies, and `origin` with a phrase that says so."""
    return cache.keep(
        world, file, lambda path: import_openvino().save_model(model, path, compress_to_fp16=compress), origin
    )
