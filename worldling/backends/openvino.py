"""The OpenVINO backends: one frame's computation as a graph in f32, bf16 or int8, on the CPU.

The memory stays outside the graph: it is read in place, and only the new frame's keys and values are returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from worldling.backends import cache
from worldling.backends.calibrate import quantize
from worldling.backends.openvino_graph import core, export, file_name, import_openvino, read, save
from worldling.backends.small_graphs import decoder, encoder, guesser, scorer
from worldling.dynamics.keypoints import Guess
from worldling.errors import BackendError
from worldling.machine import cpu_has_bf16
from worldling.tick import TickInputs, TickOutputs
from worldling.world import World

if TYPE_CHECKING:
    import openvino as ov

# Precision of the operations that are not int8.
PRECISION = {"openvino-f32": "f32", "openvino-bf16": "bf16", "openvino-int8": "bf16"}
SPLIT_FROM = 16  # smallest batch that is split into parts, at least one for each thread
MICRO_BATCH = 64  # rows of the largest part: its activations stay in cache


class Outputs(NamedTuple):
    """Which outputs a call computes, besides keys and values."""

    latent: bool
    frame: bool


class OpenVino:
    """A `Backend` of graphs with fixed batch sizes, compiled from one graph with a free batch axis when first needed.

    world: on the CPU, run by the reference; name: in `PRECISION`; why: it was chosen. Encoder and decoder are separate
    graphs. Cost to make: under 2 s from disk; building takes seconds, for int8 tens of seconds. Raises
    `BackendError`.

    Small batches run on all threads, for the lowest latency. Large ones are split into parts that run in parallel,
    one thread each, which needs no synchronization after every operation and gives a higher throughput.
    """

    def __init__(self, world: World, name: str, why: str = "as asked", quiet: bool = True) -> None:
        import_openvino()
        if world.device.type != "cpu":
            raise BackendError(f"`device` must be cpu for {name}, got {world.device}. Use the torch backend there.")
        self.name, self.threads = name, torch.get_num_threads()
        self.precision = PRECISION[name] if cpu_has_bf16() else "f32"
        self.memory_dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        self.model, how = build(world, name, quiet)
        if self.precision != PRECISION[name]:
            how += f"; this CPU has no bf16, so {self.precision}"
        self.reason = f"{why}; {how}"
        self.num_memory = 2 * world.dynamics.config.time_layers  # tensors: keys and values
        self._compiled: dict[tuple[int, Outputs, int], ov.CompiledModel] = {}
        self._calls: dict[tuple[int, Outputs, int, int], Call] = {}
        self._prepare(1, Outputs(latent=True, frame=True))
        self._encoder, self._decoder = encoder(world), decoder(world)
        self._guesser, self._scorer = guesser(world), scorer(world)

    def tick(self, inputs: TickInputs, decode: bool) -> TickOutputs:
        """Make the next frame, as in `Backend.tick`."""
        return TickOutputs.from_flat(self._run(inputs, Outputs(latent=True, frame=decode)), decode)

    def remember(self, inputs: TickInputs) -> Sequence[Tensor]:
        """Return the keys and values of a real frame, as in `Backend.remember`; costs half of a tick."""
        return self._run(inputs, Outputs(latent=False, frame=False))

    def encode(self, frames: Tensor) -> Tensor:
        """Turn frames uint8 `[B, H, W, 3]` into latents `[B, N, C]`, in f32."""
        return self._encoder(frames)

    def decode(self, latents: Tensor) -> Tensor:
        """Turn latents `[B, N, C]` into frames uint8 `[B, H, W, 3]`, in f32."""
        return self._decoder(latents)

    def guess(self, points: Tensor, action: Tensor) -> Guess:
        """Guess the keypoints of the next frame, as in `Backend.guess`."""
        assert self._guesser is not None, "only a world with keypoints has points"
        return Guess(*self._guesser.all(points, action))

    def outcome(self, latent: Tensor, following: Tensor, action: Tensor) -> Tensor:
        """Return the scores of a step, as in `Backend.outcome`."""
        assert self._scorer is not None, "only a world that predicts outcomes has scores of them"
        return self._scorer(latent, following, action)

    def like(self, world: World) -> OpenVino:
        """Return a backend of the same precision for `world`; bf16 instead of int8, which would need calibration."""
        return OpenVino(world, "openvino-bf16" if self.name == "openvino-int8" else self.name)

    def _run(self, inputs: TickInputs, wanted: Outputs) -> Sequence[Tensor]:
        """Return the wanted outputs: latent, frame, then keys and values."""
        if inputs.batch < SPLIT_FROM:
            call = self._prepare(inputs.batch, wanted)
            call.begin(inputs.small, inputs.memory)
            return [_copied(t) if i < sum(wanted) else t for i, t in enumerate(call.end())]
        parts = inputs.split(max(self.threads, -(-inputs.batch // MICRO_BATCH)))
        calls = [self._prepare(part.batch, wanted, self.threads, number) for number, part in enumerate(parts)]
        for call, part in zip(calls, parts, strict=True):
            call.begin(part.small, part.memory)
        return [torch.cat(column) for column in zip(*[call.end() for call in calls], strict=True)]

    def _prepare(self, batch: int, wanted: Outputs, streams: int = 1, number: int = 0) -> Call:
        """Return call `number` of the graph for `batch` rows, compiling it if needed (some tenths of a second)."""
        key = (batch, wanted, streams)
        if key not in self._compiled:
            self._compiled[key] = self._compile(*key)
        if (*key, number) not in self._calls:
            self._calls[*key, number] = Call(self._compiled[key], self.num_memory, self.memory_dtype)
        return self._calls[*key, number]

    def _compile(self, batch: int, wanted: Outputs, streams: int) -> ov.CompiledModel:
        model = self.model.clone()
        latent, frame, *_ = model.get_results()
        for result, keep in ((latent, wanted.latent), (frame, wanted.frame)):
            if not keep:
                model.remove_result(result)
        model.reshape({i: [batch, *list(port.get_partial_shape())[1:]] for i, port in enumerate(model.inputs)})
        return self.compile(model, sum(wanted), streams)

    def compile(self, model: ov.Model, first: int, streams: int = 1) -> ov.CompiledModel:
        """Compile a graph whose last inputs are the memory, and whose outputs from `first` on are to be remembered."""
        ov = import_openvino()
        if self.memory_dtype == torch.bfloat16:
            edges = ov.preprocess.PrePostProcessor(model)
            for i in range(len(model.inputs) - self.num_memory, len(model.inputs)):
                edges.input(i).tensor().set_element_type(ov.Type.bf16)
            for i in range(first, len(model.outputs)):
                edges.output(i).tensor().set_element_type(ov.Type.bf16)
            model = edges.build()
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": self.threads,
            "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
            "NUM_STREAMS": str(streams),
        }
        return core().compile_model(model, "CPU", settings)


def build(world: World, name: str, quiet: bool, cells: bool = False) -> tuple[ov.Model, str]:
    """Return the graph of backend `name`, read from disk or built now, and a phrase that says which.

    cells: the graph of some cells, `FlatCellTick`, instead of that of a frame.
    """
    file = file_name(world, name, "-cells" if cells else "")
    found = cache.find(world, file)
    if found.path is not None:
        return read(found.path), found.origin
    model = export(world, cells)
    if name == "openvino-int8":
        model = quantize(world, model, quiet, cells)
    kept = save(world, model, file, name != "openvino-f32", found.origin)
    # read it back, as later starts will: the file's numbers are rounded
    return model if kept.path is None else read(kept.path), kept.origin


class Call:
    """One graph of one batch size: `begin` copies all inputs but the memory and starts; `end` waits."""

    def __init__(self, compiled: ov.CompiledModel, num_memory: int, memory_dtype: torch.dtype) -> None:
        self.request, self.memory_dtype = compiled.create_infer_request(), memory_dtype
        self.small = [_buffer(port) for port in compiled.inputs[:-num_memory]]
        self.outputs = [_buffer(port) for port in compiled.outputs]
        self.memory: list[Tensor | None] = [None] * num_memory
        for i, own in enumerate(self.small):
            self.request.set_input_tensor(i, _shared(own))
        for i, own in enumerate(self.outputs):
            self.request.set_output_tensor(i, _shared(own))

    def begin(self, small: Sequence[Tensor], memory: Sequence[Tensor]) -> None:
        """Start computing on inputs, of which those of the memory are not copied."""
        for own, new in zip(self.small, small, strict=True):
            own.copy_(new)
        for i, tensor in enumerate(memory):
            tensor = tensor.to(self.memory_dtype).contiguous()  # no copy for states started on this backend
            bound = self.memory[i]
            if bound is None or bound.data_ptr() != tensor.data_ptr():
                self.request.set_input_tensor(len(self.small) + i, _shared(tensor))
                self.memory[i] = tensor
        self.request.start_async()

    def end(self) -> list[Tensor]:
        """Return the wanted outputs, valid until the next `begin`: latent, frame, keys and values."""
        self.request.wait()
        return self.outputs


def _copied(tensor: Tensor) -> Tensor:
    """Return a copy made by this thread alone.

    A large clone() wakes torch's threads, and for milliseconds after it they spin on the cores that OpenVINO's threads
    want: at 256 px a frame then takes half as long again, one in a hundred four times.
    """
    return torch.from_numpy(tensor.numpy().copy())


def _buffer(port: Any) -> Tensor:
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "i64": torch.int64, "u8": torch.uint8}
    return torch.zeros(tuple(port.shape), dtype=dtype[port.get_element_type().get_type_name()])


def _shared(tensor: Tensor) -> ov.Tensor:
    """Return an OpenVINO tensor over the memory of `tensor`, which must stay alive as long."""
    import openvino as ov

    if tensor.dtype == torch.bfloat16:  # numpy has no such type: pass the bits
        return ov.Tensor(tensor.view(torch.int16).numpy(), list(tensor.shape), ov.Type.bf16)
    return ov.Tensor(tensor.numpy(), shared_memory=True)
