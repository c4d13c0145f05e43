"""Encoder, decoder, keypoints and outcome as OpenVINO graphs on the CPU: the same levels and frames as eager torch.

Three times faster than it, and no threads of torch wake up that would then spin on the cores that the frame's graph
wants. Always in f32, whatever precision the frames are made in: a level that differs here would be another real frame,
and in bf16 a place in the picture is known to half a pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from worldling.backends import cache, openvino_graph
from worldling.dynamics.keypoints import Keypoints
from worldling.tokenizer.model import Tokenizer
from worldling.types import float_to_frames, frames_to_float
from worldling.world import World

if TYPE_CHECKING:
    import openvino as ov

#: Numbers of rows that a graph is compiled for.
MOST_SIZES = 8
#: Hints of up to so many cells are made on one thread, as other small graphs are; the limit itself is not measured.
FEW_CELLS = 64
#: From so many rows on all threads have enough to do, even in a small graph.
MANY = 16


class Encode(nn.Module):
    """Encoder: frames uint8 `[B, H, W, 3]` to latents `[B, N, C]` on the lattice."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, frames: Tensor) -> Tensor:
        return self.tokenizer.encode(frames_to_float(frames))


class Decode(Encode):
    """Decoder: latents `[B, N, C]` to frames uint8 `[B, H, W, 3]`."""

    def forward(self, latents: Tensor) -> Tensor:
        return float_to_frames(self.tokenizer.decode(latents))


class Graph:
    """A module as a graph on the CPU, for any number of rows. Not thread-safe.

    name: of the cached file; example: its inputs, of two rows each. Cost to make: a tenth of a second
    from disk, else half a second. Raises `BackendError` if the graph on disk is damaged.

    small: few rows run on one thread, since waking the others takes longer than they save.

    It is compiled for each of the first `MOST_SIZES` numbers of rows that it is asked for: with a free axis small
    graphs take half as long again.
    """

    def __init__(self, world: World, name: str, module: nn.Module, *example: Tensor, small: bool = False) -> None:
        self.small = small
        file = openvino_graph.file_name(world, name)
        found = cache.find(world, file)
        if found.path is not None:
            self.model = openvino_graph.read(found.path)
        else:
            self.model = openvino_graph.convert(module, example)
            openvino_graph.save(world, self.model, file, False)
        self._compiled: dict[int | None, ov.CompiledModel] = {}
        self._for(1)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return the only output."""
        return self.all(*inputs)[0]

    def all(self, *inputs: Tensor) -> list[Tensor]:
        """Return all outputs."""
        graph = self._for(len(inputs[0]))
        return [torch.from_numpy(part) for part in graph([part.contiguous().numpy() for part in inputs]).values()]

    def _for(self, rows: int | None) -> ov.CompiledModel:
        """Return the graph for so many rows, or for any if it was compiled for many numbers already."""
        if rows not in self._compiled and len(self._compiled) >= MOST_SIZES:
            rows = None
        if rows not in self._compiled:
            model = self.model.clone()
            if rows is not None:
                model.reshape({i: [rows, *list(p.get_partial_shape())[1:]] for i, p in enumerate(model.inputs)})
            settings = {
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": 1 if self.small and (rows or MANY) < MANY else torch.get_num_threads(),
                "PERFORMANCE_HINT": "LATENCY",
            }
            self._compiled[rows] = openvino_graph.core().compile_model(model, "CPU", settings)
        return self._compiled[rows]


def encoder(world: World) -> Graph:
    """Return the encoder of frames uint8 `[B, H, W, 3]` of this world; see `Graph`."""
    size = world.size_px
    return Graph(world, "encoder", Encode(world.tokenizer), torch.zeros(2, size, size, 3, dtype=torch.uint8))


def decoder(world: World) -> Graph:
    """Return the decoder of latents `[B, N, C]` of this world; see `Graph`."""
    config = world.config.dynamics
    return Graph(world, "decoder", Decode(world.tokenizer), torch.zeros(2, config.tokens, config.channels))


def guesser(world: World) -> Graph | None:
    """Return the guess of points `[B, 2, K, 2]` and actions `[B, A]`; None for a world without keypoints."""
    keypoints = world.dynamics.keypoints
    if keypoints is None:
        return None
    example = torch.zeros(2, 2, world.config.dynamics.keypoints, 2), torch.zeros(2, world.action_space.size)
    return Graph(world, "keypoints", keypoints, *example, small=True)


class Move(nn.Module):
    """Motion of keypoints: points `[B, 2, K, 2]` and actions `[B, A]` to the points after, as `Keypoints.move`."""

    def __init__(self, keypoints: Keypoints) -> None:
        super().__init__()
        self.keypoints = keypoints

    def forward(self, points: Tensor, action: Tensor) -> Tensor:
        return self.keypoints.move(points, action)


def mover(world: World) -> Graph:
    """Return the motion of points `[B, 2, K, 2]` under actions `[B, A]`, of a world with keypoints."""
    keypoints = world.dynamics.keypoints
    assert keypoints is not None, "only a world with keypoints has points"
    example = torch.zeros(2, 2, world.config.dynamics.keypoints, 2), torch.zeros(2, world.action_space.size)
    return Graph(world, "motion", Move(keypoints), *example, small=True)


def painter(world: World, count: int) -> Graph:
    """Return the hint of points `[B, K, 2]` for cells int64 `[B, count]`, of a world with keypoints; 0: for all."""
    keypoints = world.dynamics.keypoints
    assert keypoints is not None, "only a world with keypoints has points"
    example = [torch.zeros(2, world.config.dynamics.keypoints, 2)]
    if count:
        example.append(torch.arange(count).expand(2, -1).contiguous())
    return Graph(world, f"painter-{count}", keypoints.painter, *example, small=0 < count <= FEW_CELLS)


def scorer(world: World) -> Graph | None:
    """Return the outcome's scores of latents `[B, N, C]`, those that follow, and actions `[B, A]`; None without one."""
    if world.outcome is None:
        return None
    config = world.config.dynamics
    latents = torch.zeros(2, config.tokens, config.channels)
    return Graph(
        world, "outcome", world.outcome, latents, latents.clone(), torch.zeros(2, config.action_size), small=True
    )
