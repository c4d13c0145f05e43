"""OpenVINO backends that can also make some cells of a frame, and draw a part of it, as `Delta` needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from worldling.backends.openvino import SPLIT_FROM, Call, OpenVino, build
from worldling.backends.small_graphs import Graph, mover, painter
from worldling.tick import TickInputs, TickOutputs
from worldling.tokenizer.model import Tokenizer
from worldling.types import float_to_frames
from worldling.world import World

if TYPE_CHECKING:
    import openvino as ov


class OpenVinoCells(OpenVino):
    """An `OpenVino` with graphs for some cells, of fixed numbers of rows and cells, compiled when first needed.

    name: of the backend; the graph of cells is built and kept like that of frames.
    """

    def __init__(self, world: World, name: str, why: str = "as asked", quiet: bool = True) -> None:
        super().__init__(world, name, why, quiet)
        self.world, self.quiet = world, quiet
        self.cell_model, _ = build(world, name, quiet, cells=True)
        self._compiled_cells: dict[tuple[int, ...], ov.CompiledModel] = {}
        self._cell_calls: dict[tuple[int, ...], Call] = {}
        self._boxes: dict[int, Graph] = {}
        self._painters: dict[int, Graph] = {}
        self._mover = None if world.dynamics.keypoints is None else mover(world)

    def tick_cells(self, inputs: TickInputs, cells: Tensor, rows: Tensor) -> TickOutputs:
        """Make cells int64 `[B, M]` of the next frame alone, as `CellTick` does; rows int64 `[B]`: of the memory."""
        streams = 1 if len(cells) < SPLIT_FROM else self.threads
        parts = torch.arange(len(cells)).tensor_split(streams)
        calls = []
        for number, part in enumerate(parts):
            padded = 1 << (len(part) - 1).bit_length()  # fewer sizes to compile; what is doubled is not looked at
            part = torch.cat([part, part[-1:].expand(padded - len(part))])
            call = self.prepare_cells(len(inputs.memory[0]), padded, cells.shape[1], streams, number)
            call.begin((cells[part], rows[part], *(tensor[part] for tensor in inputs.small)), inputs.memory)
            calls.append(call)
        made = [[t[: len(part)] for t in call.end()] for call, part in zip(calls, parts, strict=True)]
        latent, *memory = [torch.cat(column) for column in zip(*made, strict=True)]
        return TickOutputs(latent, None, tuple(memory))

    def warm_up(self, counts: Sequence[int], sides: Sequence[int]) -> None:
        """Compile the graphs of one row for so many cells, and for squares of so many cells a side."""
        for count in counts:
            self.prepare_cells(1, 1, count)
            if self._mover is not None:
                self.prepare_painter(count)
        for side in sides:
            self.prepare_box(side)

    def move(self, points: Tensor, action: Tensor) -> Tensor:
        """Guess the keypoints of the next frame, `Guess.points`, as `guess` does."""
        assert self._mover is not None, "only a world with keypoints has points"
        return self._mover(points, action)

    def paint(self, points: Tensor, cells: Tensor | None) -> Tensor:
        """Return the hint `[B, M, E]` of cells int64 `[B, M]`, or of all, for keypoints `[B, K, 2]` to come."""
        if cells is None:
            return self.prepare_painter(0)(points)
        return self.prepare_painter(cells.shape[1])(points, cells)

    def prepare_painter(self, count: int) -> Graph:
        """Return the graph of the hint of `count` cells, 0 for all, building it if needed."""
        if count not in self._painters:
            self._painters[count] = painter(self.world, count)
        return self._painters[count]

    def like(self, world: World) -> OpenVinoCells:
        """Return a backend of the same precision for `world`, as `OpenVino.like`."""
        return OpenVinoCells(world, "openvino-bf16" if self.name == "openvino-int8" else self.name)

    def prepare_cells(self, whole: int, rows: int, count: int, streams: int = 1, number: int = 0) -> Call:
        """Return call `number` of the graph of `count` cells for so many rows of a memory of `whole`.

        It is compiled if needed (some tenths of a second).
        """
        key = (whole, rows, count, streams)
        if key not in self._compiled_cells:
            model = self.cell_model.clone()
            shapes = {i: [rows, *list(port.get_partial_shape())[1:]] for i, port in enumerate(model.inputs)}
            for i in range(len(model.inputs) - self.num_memory, len(model.inputs)):
                shapes[i][0] = whole
            model.reshape({**shapes, 0: [rows, count]})
            self._compiled_cells[key] = self.compile(model, 1, streams)
        if (*key, number) not in self._cell_calls:
            self._cell_calls[*key, number] = Call(self._compiled_cells[key], self.num_memory, self.memory_dtype)
        return self._cell_calls[*key, number]

    def decode_box(self, latents: Tensor) -> Tensor:
        """Turn a square of cells `[B, n, s, s]` into its pixels uint8 `[B, H, W, 3]`, in f32."""
        return self.prepare_box(latents.shape[-1])(latents)

    def prepare_box(self, side: int) -> Graph:
        """Return the decoder of squares of side x side cells, building it if needed (some tenths of a second)."""
        if side not in self._boxes:
            codes = self.world.config.tokenizer.codes
            example = torch.zeros(2, codes, side, side)
            self._boxes[side] = Graph(self.world, f"decoder-{side}", DecodeBox(self.world.tokenizer), example)
        return self._boxes[side]


class DecodeBox(nn.Module):
    """Decoder of a square of cells `[B, n, s, s]`, n codes each: pixels uint8 `[B, H, W, 3]`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, cells: Tensor) -> Tensor:
        """Draw the square as if nothing were around it."""
        return float_to_frames(self.tokenizer.decode_cells(cells))
