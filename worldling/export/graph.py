"""Write the making of a frame as an ONNX graph that plays without Worldling.

The graph holds one row: the tensors of `TickInputs` in, those of `TickOutputs` out, under the names of `input_names`
and `output_names`. A world with keypoints takes points and gives the next ones; the noise is an input only where a
world draws it. What a player needs besides, from the actions to the clips to start from, is json in the graph's
metadata (`about`), so that one file is enough.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from worldling.config import finite
from worldling.data.fit import picture_of
from worldling.description import describe
from worldling.errors import ExportError
from worldling.export.weights import store
from worldling.nn.lattice import to_levels
from worldling.packed import Packing
from worldling.tick import Tick, TickInputs
from worldling.types import float_to_frames, frames_to_float
from worldling.world import World

if TYPE_CHECKING:
    import onnx

OPSET = 20
#: The key of the metadata under which `about` lies, and its version.
KEY, VERSION = "worldling", 1
#: Clips to start from that an exported world takes along.
MOST_STARTS = 12


class ExportedTick(nn.Module):
    """A `Tick` of one row as the graph holds it: ages are int32, and the hint is made from points in it."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.tick, self.config = Tick(world.tokenizer, world.dynamics, decode=True), world.dynamics.config

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Make the next frame; tensors as of `input_names`, returns those of `output_names`."""
        rest, c = list(tensors), self.config
        latent, previous, action, age = (rest.pop(0) for _ in range(4))
        noise = rest.pop(0) if c.passes > 1 else torch.zeros_like(latent)
        shown = rest.pop(0) if c.warp else None
        guess = self.tick.dynamics.keypoints(rest.pop(0), action) if self.tick.dynamics.keypoints is not None else None
        hint = None if guess is None else guess.hint
        made = self.tick(TickInputs(latent, previous, action, age.long(), noise, shown, hint, tuple(rest)))
        assert made.frame is not None, "it was to be decoded"
        points = () if guess is None else (guess.points,)
        return (made.latent, made.frame, *points, *made.memory)


class ExportedEncoder(nn.Module):
    """What a page needs to start from a picture: its latent, the latent's frame, and its points."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.tokenizer, self.keypoints = world.tokenizer, world.dynamics.keypoints

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        """Encode a frame uint8 `[1, H, W, 3]`: latent `[1, N, C]`, frame, points `[1, K, 2]` if the world has them."""
        pixels = frames_to_float(frame)
        latent = self.tokenizer.encode(pixels)
        points = () if self.keypoints is None else (self.keypoints.finder(pixels),)
        return (latent, float_to_frames(self.tokenizer.decode(latent)), *points)


def input_names(world: World) -> list[str]:
    """Return the names of the graph's inputs, in order."""
    c = world.dynamics.config
    may_be = {"noise": c.passes > 1, "shown": c.warp > 0, "points": c.keypoints > 0}
    extra = [name for name, is_there in may_be.items() if is_there]
    return ["latent", "previous", "action", "age", *extra, *_memory_names(world)]


def output_names(world: World) -> list[str]:
    """Return the names of the graph's outputs, in order."""
    extra = ["next_points"] if world.dynamics.config.keypoints else []
    return ["next_latent", "frame", *extra, *(f"new_{name}" for name in _memory_names(world))]


def _memory_names(world: World) -> list[str]:
    return [f"{part}{i}" for i in range(world.dynamics.config.time_layers) for part in ("key", "value")]


def import_onnx() -> Any:
    """Return the onnx module. Raises `ExportError` that names the packages to install."""
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ExportError(f'`export` must be installed, got {error}. Run: pip install "worldling[export]".') from None
    return onnx


@torch.inference_mode()
def build_graph(world: World, bits: int = 16, packing: Packing | None = None) -> onnx.ModelProto:
    """Return the graph of `world`, on the CPU, with what is needed to play it in its metadata.

    bits, packing: how weights are stored (weights.py); they become float32 when the graph is loaded. Raises
    `ExportError`. Cost: some seconds.
    """
    onnx = import_onnx()
    if not world.contexts:
        raise ExportError("`world.contexts` must hold a clip to start from, got none. Train the world again.")
    state = world.empty_state(1, torch.float32)
    full = world.inputs(state, torch.zeros(1, world.action_space.size))
    values: dict[str, Any] = {
        "latent": full.latent, "previous": full.previous, "action": full.action, "age": full.age.int(),
        "noise": full.noise, "shown": full.shown, "points": state.points,
        **dict(zip(_memory_names(world), full.memory, strict=True)),
    }  # fmt: skip
    example = tuple(values[name] for name in input_names(world))
    model = _traced(ExportedTick(world), example, input_names(world), output_names(world))
    store(model, world, packing or Packing(), bits)
    onnx.checker.check_model(model)
    onnx.helper.set_model_props(model, {KEY: json.dumps(about(world))})
    return model


@torch.inference_mode()
def build_encoder(world: World, bits: int = 16, packing: Packing | None = None) -> onnx.ModelProto:
    """Return the graph of `ExportedEncoder`: `picture` in; `latent`, `frame` and in some worlds `points` out."""
    onnx = import_onnx()
    example = torch.zeros(1, world.size_px, world.size_px, 3, dtype=torch.uint8)
    outputs = ["latent", "frame", *(["points"] if world.dynamics.config.keypoints else [])]
    model = _traced(ExportedEncoder(world), (example,), ["picture"], outputs)
    store(model, world, packing or Packing(), bits)
    onnx.checker.check_model(model)
    return model


def _traced(module: nn.Module, example: tuple[Tensor, ...], inputs: list[str], outputs: list[str]) -> onnx.ModelProto:
    """Return a module's computation as a graph with these names and float32 weights."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    names: dict[str, Any] = {"input_names": inputs, "output_names": outputs}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of the exporter's own parts
        program = torch.onnx.export(module.eval(), example, dynamo=True, opset_version=OPSET, verbose=False, **names)
    assert program is not None, "a program is returned where no file is named"
    model = program.model_proto
    del model.metadata_props[:]
    return model


def without_metadata(graph: bytes) -> bytes:
    """Return a graph that says nothing of itself."""
    model = import_onnx().load_from_string(graph)
    del model.metadata_props[:]
    return model.SerializeToString()


def about(world: World) -> dict[str, Any]:
    """Return what a player needs beside the graph, as json.

    starts: of each clip, its latents as levels uint8 `[T, N, C]`, its encoded actions float32 `[T - 1, A]`, the raw
    action that it ends with, points float32 `[2, K, 2]` and the last frame as decoded, uint8 `[H, W, 3]`; arrays are
    base64 of their bytes, little endian. picture: left and upper edge, width and height of what is shown of a frame.
    usual_error: mean squared error, of 255 squared, of the frames that are worst encoded among the starts.
    """
    config, space = world.dynamics.config, world.action_space
    picture = picture_of(world.card.get("source", {}), world.size_px)
    said = describe(world, world.config.fps)
    kept = {
        **said,
        "version": VERSION,
        "picture": [picture.left, picture.top, picture.width, picture.height],
        "window": config.window,
        "sinks": config.sinks,
        "tokens": config.tokens,
        "channels": config.channels,
        "levels": config.levels,
        "width": config.width,
        "passes": config.passes,
        "keypoints": config.keypoints,
        "warps": config.warp > 0,
        "inputs": input_names(world),
        "outputs": output_names(world),
        "action_space": {**said["action_space"], "size": space.size, "noop": space.noop.tolist()},
        "usual_error": _usual_error(world),
        "starts": [_start(world, number) for number in range(min(MOST_STARTS, len(world.contexts)))],
    }
    found: dict[str, Any] = finite({**kept, "num_starts": len(kept["starts"])})
    return found


def _usual_error(world: World) -> float:
    frames = np.concatenate([clip.frames[: world.config.context] for clip in world.contexts[:MOST_STARTS]])
    again = world.decode(world.encode(frames))
    return float(np.square(again.astype(np.float64) - frames).mean((1, 2, 3)).max())


def _start(world: World, number: int) -> dict[str, Any]:
    clip, count = world.contexts[number], world.config.context
    frames, actions = clip.frames[:count], clip.actions[: count - 1]
    latents = world.encode(frames)
    found = {
        "latents": _base64(to_levels(latents, world.dynamics.config.levels).to(torch.uint8)),
        "actions": _base64(world.action_space.encode(actions).astype("<f4")),
        "count": len(frames),
        "held": np.asarray(actions[-1] if len(actions) else world.action_space.noop).tolist(),
        "frame": _base64(world.decode(latents[-1:])[0]),
    }
    if world.dynamics.keypoints is not None:
        found["points"] = _base64(world.dynamics.keypoints.find(frames[None, -2:])[0, -1].cpu().numpy().astype("<f4"))
    return found


def _base64(array: Tensor | np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
