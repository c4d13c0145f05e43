"""Encoder and decoder as OpenVINO graphs on the CPU: three times faster than eager torch, same levels and frames.

Always in f32, whatever precision the frames are made in: a level that differs here would be another real frame. So are
keypoints: in bf16 a place in the picture is known to half a pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from worldling.backends import cache, openvino_graph
from worldling.tokenizer.model import Tokenizer
from worldling.types import float_to_frames, frames_to_float
from worldling.world import World


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
    """

    def __init__(self, world: World, name: str, module: nn.Module, *example: Tensor) -> None:
        file = openvino_graph.file_name(world, name)
        found = cache.find(world, file)
        if found.path is not None:
            model = openvino_graph.read(found.path)
        else:
            model = openvino_graph.convert(module, example)
            openvino_graph.save(world, model, file, False)
        self.graph = openvino_graph.core().compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                "PERFORMANCE_HINT": "LATENCY",
            },
        )

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the only output for one input."""
        return self.all(rows)[0]

    def all(self, *inputs: Tensor) -> list[Tensor]:
        """Return all outputs."""
        return [torch.from_numpy(part) for part in self.graph([part.contiguous().numpy() for part in inputs]).values()]


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
    return Graph(world, "keypoints", keypoints, *example)
