"""OpenVINO: one frame as a graph in f32, bf16 or int8, for the CPU.

The graph is free of the batch size, so one file on disk serves every batch; it is fixed to a batch when
that batch is first asked for. The memory stays outside: its tensors are read where they lie, and only one
frame's keys and values come back.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from worldling.engine import cache
from worldling.engine.calibrate import quantize
from worldling.errors import BackendError
from worldling.machine import cpu_has_bf16
from worldling.world import World

if TYPE_CHECKING:
    import openvino as ov

# Precision of what is not int8.
PRECISION = {"openvino-f32": "f32", "openvino-bf16": "bf16", "openvino-int8": "bf16"}
# Outputs of `Tick.forward` that a graph can do without.
LATENT_OUTPUT, FRAME_OUTPUT = 0, 1
PARTS_FROM = 16  # rows from which a batch is cut into parts, at least one for each thread
MICRO_BATCH = 64  # the largest part: its activations stay in cache


def import_openvino() -> Any:
    """Return the openvino module, or raise `BackendError` naming the package to install."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # else converting reports to Google
    try:
        import openvino
    except ImportError as error:
        raise BackendError(f'`backend` must be installed, got {error}. Run: pip install "worldling[fast]".') from None
    return openvino


@functools.cache
def core() -> "ov.Core":
    """Return OpenVINO's core: one for the whole process, as each new one gives the thread another signal stack.

    Where two overlap and the older goes first, the younger leaves the thread with the older's freed stack,
    and the next Ctrl-C is a segmentation fault (seen with 2026.4.1).
    """
    return import_openvino().Core()


def file_name(world: World, name: str) -> str:
    """Return the name under which this world's graph for backend `name` is cached."""
    return f"{name}-{cache.fingerprint(world, import_openvino().__version__)}.xml"


def is_built(world: World, name: str) -> bool:
    """Return whether the graph of backend `name` lies ready on disk."""
    return cache.find(world, file_name(world, name)) is not None


def start(world: World, name: str, quiet: bool = True) -> tuple["OpenVinoRunner", str]:
    """Return the runner of backend `name`, built now or read from disk, and one phrase on how it came about.

    Cost: under 2 s from disk; building takes seconds, for int8 tens of seconds. Raises `BackendError`.
    """
    ov = import_openvino()
    if world.device.type != "cpu":
        raise BackendError(f"`device` must be cpu for {name}, got {world.device}. Use the torch backend there.")
    precision = PRECISION[name] if cpu_has_bf16() else "f32"
    file = file_name(world, name)
    path = cache.find(world, file)
    if path is not None:
        model, how = read(path), "built before"
    else:
        model = export(world)
        if name == "openvino-int8":
            model = quantize(world, model, quiet)
        how = save(world, model, file, compress=name != "openvino-f32")
        kept = cache.find(world, file)
        model = model if kept is None else read(kept)  # as later starts will: the file's numbers are rounded
    if precision != PRECISION[name]:
        how += f"; this CPU has no bf16, so {precision}"
    runner = OpenVinoRunner(model, world.small_inputs, precision, torch.get_num_threads())
    runner.prepare(1)
    return runner, how


def export(world: World) -> "ov.Model":
    """Return one frame's computation as an f32 graph whose batch axis is free."""
    model = convert(world.tick(watch=True), world.inputs(world.blank(2), torch.zeros(2, world.action_space.size)))
    for node in [op for op in model.get_ops() if op.get_type_name() == "TopK"]:
        _compare_instead(node)
    return model


def convert(module: torch.nn.Module, example: tuple[Tensor, ...]) -> "ov.Model":
    """Return a module's computation as an f32 graph whose batch axis is free; example: its inputs, of two rows."""
    import warnings

    ov = import_openvino()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of every shape it fixes: all are constants of the world
        return ov.convert_model(
            module, example_input=example, input=[ov.PartialShape([-1, *t.shape[1:]]) for t in example]
        )


def _compare_instead(top: "ov.Node") -> None:
    """Replace an argmax over the few levels of a channel by comparisons, 10x as fast: OpenVINO's is made for long axes."""
    import openvino.opset13 as op

    scores, index = top.input_value(0), top.output(1)
    levels = scores.get_partial_shape()[-1].get_length()
    planes = op.transpose(scores, op.constant([3, 0, 1, 2]))  # whole planes [1, B, N, C] split without a copy
    first, *others = op.split(planes, op.constant(0), levels).outputs()
    best, winner = first, op.constant(0.0)
    for number, score in enumerate(others, 1):
        winner = op.select(op.greater(score, best), op.constant(float(number)), winner)
        best = op.maximum(score, best)
    for reader in list(index.get_target_inputs()):
        level = op.reshape(op.convert(winner, index.get_element_type()), op.shape_of(index), False)
        reader.replace_source_output(level.output(0))


def read(path: Path) -> "ov.Model":
    """Read a graph. Raises `BackendError` if it is damaged."""
    try:
        return core().read_model(path)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise BackendError(f"`{path}` must be a whole graph, got: {reason}. Delete it; it is built again.") from None


def save(world: World, model: "ov.Model", file: str, compress: bool) -> str:
    """Keep a graph for the next start; returns a phrase that says where."""
    folder = cache.place(world)
    if folder is None:
        return (
            "built now, not kept since the world is not saved"
            if world.path is None
            else "built now, nowhere to keep it"
        )
    name = Path(file).stem
    cache.forget_older(folder, file)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        import_openvino().save_model(model, Path(temporary) / file, compress_to_fp16=compress)
        for part in (f"{name}.bin", file):  # the .xml last, so that a graph with one is whole
            os.replace(Path(temporary) / part, folder / part)
    return "built now, kept beside the world" if folder.name == ".engine" else f"built now, kept in {folder}"


class OpenVinoRunner:
    """A `Runner` over graphs of fixed batch sizes, made from one batch-free graph when first needed.

    Small batches run on all threads at once, for the shortest wait. Large ones are cut into parts that run side
    by side, one thread each: threads that need not meet after every operation get more done.
    """

    def __init__(self, model: "ov.Model", small: int, precision: str, threads: int) -> None:
        self.model, self.small, self.precision, self.threads = model, small, precision, threads
        self.memory_dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self._compiled: dict[tuple[int, tuple[int, ...], int], ov.CompiledModel] = {}
        self._calls: dict[tuple[int, tuple[int, ...], int, int], _Call] = {}

    def __call__(self, inputs: Sequence[Tensor], watch: bool) -> Sequence[Tensor]:
        return self._run(inputs, () if watch else (FRAME_OUTPUT,))

    def read(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return keys and values alone, as `World.reader` does: half of the work."""
        return self._run(inputs, (LATENT_OUTPUT, FRAME_OUTPUT))

    def _run(self, inputs: Sequence[Tensor], without: tuple[int, ...]) -> Sequence[Tensor]:
        batch = len(inputs[0])
        if batch < PARTS_FROM:
            call = self.prepare(batch, without)
            call.begin(inputs)
            return [_copied(t) if i < call.fresh else t for i, t in enumerate(call.end())]
        count = max(self.threads, -(-batch // MICRO_BATCH))
        parts = list(zip(*(t.tensor_split(count) for t in inputs)))
        calls = [self.prepare(len(part[0]), without, self.threads, number) for number, part in enumerate(parts)]
        for call, part in zip(calls, parts):
            call.begin(part)
        return [torch.cat(column) for column in zip(*[call.end() for call in calls])]

    def prepare(self, batch: int, without: tuple[int, ...] = (), streams: int = 1, number: int = 0) -> "_Call":
        """Return call `number` of the graph for `batch` rows, `without` some outputs, compiling it if it is new (some tenths of a second)."""
        key = (batch, without, streams)
        if key not in self._compiled:
            self._compiled[key] = self._compile(*key)
        if (*key, number) not in self._calls:
            self._calls[*key, number] = _Call(self._compiled[key], self.small, self.memory_dtype)
        return self._calls[*key, number]

    def _compile(self, batch: int, without: tuple[int, ...], streams: int) -> "ov.CompiledModel":
        ov = import_openvino()
        model = self.model.clone()
        for result in [model.get_results()[output] for output in without]:
            model.remove_result(result)
        model.reshape({i: [batch, *list(port.get_partial_shape())[1:]] for i, port in enumerate(model.inputs)})
        if self.memory_dtype == torch.bfloat16:
            edges = ov.preprocess.PrePostProcessor(model)
            for i in range(self.small, len(model.inputs)):
                edges.input(i).tensor().set_element_type(ov.Type.bf16)
            for i in range(FRAME_OUTPUT + 1 - len(without), len(model.outputs)):
                edges.output(i).tensor().set_element_type(ov.Type.bf16)
            model = edges.build()
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": self.threads,
            "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
            "NUM_STREAMS": str(streams),
        }
        return core().compile_model(model, "CPU", settings)


class _Call:
    """One graph of one batch size: `begin` copies the small inputs, reads memory in place and starts; `end` waits."""

    def __init__(self, compiled: "ov.CompiledModel", small: int, memory_dtype: torch.dtype) -> None:
        self.request, self.small, self.memory_dtype = compiled.create_infer_request(), small, memory_dtype
        self.inputs = [_buffer(port) for port in compiled.inputs[:small]]
        self.outputs = [_buffer(port) for port in compiled.outputs]
        self.fresh = len(compiled.outputs) - (len(compiled.inputs) - small)  # where keys and values begin
        self.memory: list[Tensor | None] = [None] * (len(compiled.inputs) - small)
        for i, own in enumerate(self.inputs):
            self.request.set_input_tensor(i, _shared(own))
        for i, own in enumerate(self.outputs):
            self.request.set_output_tensor(i, _shared(own))

    def begin(self, inputs: Sequence[Tensor]) -> None:
        """Start computing on `inputs` of `Tick.forward`."""
        for own, new in zip(self.inputs, inputs):
            own.copy_(new)
        for i, tensor in enumerate(inputs[self.small :]):
            tensor = tensor.to(self.memory_dtype).contiguous()  # no copy for states that started on this backend
            bound = self.memory[i]
            if bound is None or bound.data_ptr() != tensor.data_ptr():
                self.request.set_input_tensor(self.small + i, _shared(tensor))
                self.memory[i] = tensor
        self.request.start_async()

    def end(self) -> list[Tensor]:
        """Return the outputs, to copy before the next `begin`: latent, frame, keys and values."""
        self.request.wait()
        return self.outputs


def _copied(tensor: Tensor) -> Tensor:
    """Return a copy made by this thread alone. A large clone() wakes torch's threads, and for milliseconds after it they
    spin on the cores that OpenVINO's threads want: at 256 px a frame then takes half as long again, one in a hundred four times."""
    return torch.from_numpy(tensor.numpy().copy())


def _buffer(port: Any) -> Tensor:
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "i64": torch.int64, "u8": torch.uint8}
    return torch.zeros(tuple(port.shape), dtype=dtype[port.get_element_type().get_type_name()])


def _shared(tensor: Tensor) -> "ov.Tensor":
    """Return an OpenVINO tensor over the memory of `tensor`, which must outlive it."""
    import openvino as ov

    if tensor.dtype == torch.bfloat16:  # numpy has no such type: pass the bits
        return ov.Tensor(tensor.view(torch.int16).numpy(), list(tensor.shape), ov.Type.bf16)
    return ov.Tensor(tensor.numpy(), shared_memory=True)
