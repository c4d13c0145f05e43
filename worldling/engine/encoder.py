"""The tokenizer's eye as an OpenVINO graph, for the CPU: three times as fast as eager torch, and the same levels.

Always in f32, whatever the frames are made in: a level that tips here would be a frame the world was never shown.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from worldling.engine import cache, openvino
from worldling.tokenizer.model import Tokenizer
from worldling.types import frames_to_float
from worldling.world import World

if TYPE_CHECKING:
    import openvino as ov


class Look(nn.Module):
    """Frames uint8 `[B, H, W, 3]` to latents `[B, N, C]` on the lattice."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, frames: Tensor) -> Tensor:
        return self.tokenizer.encode(frames_to_float(frames))


class Encoder:
    """Encodes frames uint8 `[B, H, W, 3]` of a world, any number, on the CPU. Not safe to call from two threads at once.

    Cost to make: a tenth of a second from disk, else half a second. Raises `BackendError` if the graph on disk is damaged.
    """

    def __init__(self, world: World) -> None:
        file = openvino.file_name(world, "encoder")
        path = cache.find(world, file)
        if path is not None:
            model = openvino.read(path)
        else:
            model = export(world)
            openvino.save(world, model, file, compress=False)
        self.graph = openvino.core().compile_model(model, "CPU", {
            "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY",
        })

    def __call__(self, frames: Tensor) -> Tensor:
        return torch.from_numpy(self.graph([frames.numpy()])[0])


def export(world: World) -> "ov.Model":
    """Return the world's encoder as an f32 graph whose batch axis is free."""
    ov, shape = openvino.import_openvino(), (world.size_px, world.size_px, 3)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of every shape it fixes: all are constants of the world
        return ov.convert_model(
            Look(world.tokenizer), example_input=torch.zeros(2, *shape, dtype=torch.uint8), input=[ov.PartialShape([-1, *shape])]
        )
