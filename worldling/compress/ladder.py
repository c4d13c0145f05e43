"""`worldling ladder`: one world made cheaper step by step, each step beside what it costs in truth.

Every row is measured on the same held-out starts as the first, so that what is lost is paired; all speeds are taken in
turns. What was found of a row is kept in the folder `ladder` of `out`: the same command goes on where it was stopped.
"""

from __future__ import annotations

import copy
import importlib.util
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldling.backends.bench import Speed, commit, machine, measure_speed, versions
from worldling.backends.choose import use_backend
from worldling.compress.ladder_page import ladder_html
from worldling.compress.quantize import refuse_packed
from worldling.compress.run import Measured, quantized
from worldling.compress.rungs import Ladder, Rung
from worldling.compress.truth import Truth, TruthTest, is_within
from worldling.config import write_atomic
from worldling.cost.prices import read_prices
from worldling.data.store import open_dataset
from worldling.errors import ConfigError
from worldling.folder_lock import only_writer
from worldling.machine import cpu_has_bf16, hardware
from worldling.report.values import to_json
from worldling.tick import FlatTick, Tick
from worldling.world import Reference, World
from worldling.world_files import load_world, save_world

#: Batch sizes at which speeds are measured.
BATCHES = (1, 16, 64)
#: Bits of a weight that are tried, until one loses too much.
WIDTHS = (8.5, 6.5, 5.5, 4.5, 4.0, 3.5, 3.0, 2.5)


@dataclass
class Step:
    """A row to be measured. name; about: what was done; make: returns the world, on its backend; file_mb: its file."""

    name: str
    about: str
    make: Callable[[], World]
    file_mb: float
    bits: float | None = None


@dataclass(frozen=True)
class Kept:
    """What was found so far, as files in `folder`; key: of what it depends on."""

    folder: Path
    key: str

    def truth(self, step: Step, test: TruthTest, quiet: bool) -> Truth:
        """Return what is kept of a step, or run the test and keep what it finds."""
        file = self.folder / f"{step.name.replace(' ', '-')}.npz"
        if file.exists():
            with np.load(file, allow_pickle=False) as held:
                if str(held["key"]) == self.key:
                    return Truth(held["psnr_db"], dict(zip(held["names"].tolist(), held["right"], strict=True)))
        truth = test.run(step.make(), quiet, step.name)
        names, right = list(truth.right), list(truth.right.values())
        whole = file.with_suffix(".part.npz")
        np.savez(
            whole,
            key=np.array(self.key),
            psnr_db=truth.psnr_db,
            names=np.array(names, dtype=str),
            right=np.stack(right) if right else np.zeros((0, len(truth.psnr_db))),
        )
        whole.replace(file)
        return truth


def ladder(
    world: str | Path,
    data: str | Path,
    out: str | Path,
    target_drop: float = 0.9,
    starts: int = 1000,
    horizon: int = 10,
    seconds: float = 3.0,
    quiet: bool = True,
) -> Ladder:
    """Measure `world` and its cheaper forms on held-out `data`; writes ladder.html and ladder.json to folder `out`.

    target_drop: points of a share that the last row may lose, by the upper end of the interval; starts, horizon: of
    roll-outs, in frames; seconds: of timing per row and batch size. Raises `ConfigError`, `JudgeError`, `DatasetError`
    or `CheckpointError`. Cost: some minutes for a world of 64 px.
    """
    if not 0 < target_drop <= 100:
        raise ConfigError(f"`target_drop` must be above 0, in points of 100, got {target_drop:g}. Use 0.9.")
    if starts < 2 or horizon < 1 or seconds <= 0:
        got = f"{starts}, {horizon} and {seconds:g}"
        raise ConfigError(f"`starts`, `horizon` and `seconds` must be above 1, 0 and 0, got {got}. Use 1000, 10 and 3.")
    loaded, target = load_world(world), Path(out)
    refuse_packed(loaded)
    with only_writer(target / "ladder", ".measuring", "measured"), closing(open_dataset(data)) as dataset:
        test = TruthTest(loaded, dataset, starts, horizon)
        measured = Measured.of(loaded, target / "ladder" / "sensitivity.json")
        kept = Kept(target / "ladder", json.dumps([measured.digest, str(data), starts, horizon, versions()]))
        steps = precisions(loaded, target)
        truths = {step.name: kept.truth(step, test, quiet) for step in steps}
        reference, narrowest = truths[steps[0].name], None
        for bits in WIDTHS:
            step = narrow(loaded, bits, measured, target, quiet)
            truth = kept.truth(step, test, quiet)
            if not is_within(test.lost(reference, truth), target_drop):
                break
            narrowest, truths[step.name] = step, truth
        if narrowest is not None:
            steps.append(narrowest)
        speeds = measure_speed({step.name: step.make() for step in steps}, BATCHES, seconds, quiet)
        rungs = [rung(step, loaded, test, reference, truths[step.name], speeds[step.name]) for step in steps]
        found = Ladder(
            world=loaded.config.name,
            target_drop=target_drop,
            starts=len(test.starts),
            horizon=horizon,
            reader=test.reader.about,
            machine=machine(loaded),
            versions=versions(),
            commit=commit(),
            rungs=rungs,
        )
    write_atomic(target / "ladder.json", json.dumps(to_json(found), indent=2) + "\n")
    write_atomic(target / "ladder.html", ladder_html(found))
    return found


def precisions(world: World, out: Path) -> list[Step]:
    """Return the steps that leave the weights as they are: the reference, and what computes faster."""
    whole = out / "ladder" / "float32"
    save_world(copy.copy(world), whole, half=False)
    half = out / "ladder" / "float16"
    save_world(copy.copy(world), half)
    sizes = [size_mb(folder) for folder in (whole, half)]

    def on(backend: str) -> Callable[[], World]:
        return lambda: use_backend(copy.copy(world), backend, quiet=True)

    steps = [Step("dense fp32", "eager torch, the reference", on("reference"), sizes[0])]
    if importlib.util.find_spec("openvino") is not None:
        name = "bf16" if cpu_has_bf16() else "fp32 compiled"
        steps.append(Step(name, "OpenVINO; weights kept as float16", on("openvino-bf16"), sizes[1]))
        if importlib.util.find_spec("nncf") is not None:
            steps.append(Step("int8", "OpenVINO, calibrated on roll-outs", on("openvino-int8"), sizes[1]))
    return steps


def narrow(world: World, bits: float, measured: Measured, out: Path, quiet: bool) -> Step:
    """Return the step to weights of `bits` on average, computed in int8 where that can be."""
    folder = out / "ladder" / f"{bits:g}-bits"
    if not (folder / "config.json").exists():
        done = quantized(world, bits, measured, quiet)
        save_world(done.world, folder, packing=done.packing)
    int8 = importlib.util.find_spec("openvino") is not None and importlib.util.find_spec("nncf") is not None

    def make() -> World:
        return use_backend(load_world(folder), "openvino-int8" if int8 else "reference", quiet=True)

    name = f"{bits:g}-bit weights" + (", int8" if int8 else "")
    return Step(name, "bits by sensitivity, unpacked when loaded", make, size_mb(folder), bits)


def rung(step: Step, world: World, test: TruthTest, reference: Truth, truth: Truth, speed: dict[int, Speed]) -> Rung:
    """Put together what was found of a step."""
    on, prices = hardware(world.device), read_prices()
    device_class = prices.match(on.device, on.threads)
    hour = None
    if device_class is not None and world.config.fps:
        hour = prices.per_hour(device_class) * world.config.fps / speed[BATCHES[-1]].fps_p50
    return Rung(
        name=step.name,
        about=step.about,
        parameters=sum(p.numel() for m in (world.tokenizer, world.dynamics) for p in m.parameters()),
        file_mb=step.file_mb,
        gflop=gflop(world),
        speed=speed,
        currency=prices.currency,
        cost_per_user_hour=hour,
        value=test.value(truth),
        lost=test.lost(reference, truth),
    )


def size_mb(folder: Path) -> float:
    """Return the size of a world's weights on disk, in MB."""
    return (folder / "weights.safetensors").stat().st_size / 1e6


@torch.inference_mode()
def gflop(world: World) -> float:
    """Return the floating-point operations of one frame, in 10**9: matrix products and filters, two for a product."""
    from torch.utils.flop_counter import FlopCounterMode

    world = copy.copy(world)
    world.backend = Reference(world.tokenizer, world.dynamics)
    state = world.empty_state(1, torch.float32)
    vectors = torch.zeros(1, world.action_space.size)
    inputs = world.inputs(state, vectors, world.guess(state, vectors))
    counter: Any = FlopCounterMode(display=False)
    with counter:
        FlatTick(Tick(world.tokenizer, world.dynamics, decode=True))(*inputs.flat())
    return float(counter.get_total_flops()) / 1e9
