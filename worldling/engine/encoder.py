"""The tokenizer's eye as an OpenVINO graph, for the CPU: three times as fast as eager torch, and the same levels.

Always in f32, whatever the frames are made in: a level that tips here would be a frame the world was never shown.
"""

from __future__ import annotations

import functools
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
    """Encode frames uint8 `[B, H, W, 3]` of a world on the CPU; its graph is built, or read from disk, when first used."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __call__(self, frames: Tensor) -> Tensor:
        return torch.from_numpy(self.graph([frames.contiguous().numpy()])[0].copy())

    @functools.cached_property
    def graph(self) -> "ov.CompiledModel":
        """The graph for any batch, compiled. Cost: a tenth of a second from disk, else half a second."""
        ov, file = openvino.import_openvino(), openvino.file_name(self.world, "encoder")
        path = cache.find(self.world, file)
        if path is not None:
            model = openvino.read(path)
        else:
            size = self.world.size_px
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the tracer warns of every shape it fixes: all are constants of the world
                model = ov.convert_model(
                    Look(self.world.tokenizer), example_input=torch.zeros(2, size, size, 3, dtype=torch.uint8),
                    input=[ov.PartialShape([-1, size, size, 3])],
                )
            openvino.save(self.world, model, file, compress=False)
        return openvino.core().compile_model(model, "CPU", {
            "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY",
        })
