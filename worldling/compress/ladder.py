"""`worldling ladder`: one world made cheaper step by step, each step beside what it costs in truth.

Every row is measured on the same held-out starts as the first, so that what is lost is paired; all speeds are taken in
turns. What was found of a row is kept in the folder `ladder` of `out`: the same command goes on where it was stopped.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import json
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldling.backends.bench import commit, machine, measure_speed, num_parameters, versions
from worldling.backends.choose import DELTA, use_backend
from worldling.checkpoint import read_json
from worldling.compress.ladder_page import ladder_html
from worldling.compress.prune import pruned_world
from worldling.compress.quantize import refuse_packed
from worldling.compress.run import Measured, float32_mb, identity_of, quantized
from worldling.compress.rungs import Ladder, Rung
from worldling.compress.sensitivity import Probe
from worldling.compress.truth import Truth, TruthTest, is_within
from worldling.config import write_atomic
from worldling.cost.ledger import Amount, price_of, serving_row
from worldling.cost.prices import read_prices
from worldling.data.store import open_dataset
from worldling.errors import ConfigError, nearest
from worldling.folder_lock import only_writer
from worldling.learn.latents import identity
from worldling.machine import cpu_has_bf16, hardware
from worldling.report.values import to_json
from worldling.world import World
from worldling.world_files import load_world, save_world

#: Cheaper forms that are made here, in this order.
FORMS = ("int8", "pruned", "bits", "delta")
#: Batch sizes at which speeds are measured.
BATCHES = (1, 16, 64)
#: Shares of the MLPs' channels to go that are tried, until one loses too much.
SHARES = (0.25, 0.5, 0.75, 0.875)
#: Bits of a weight that are tried, until one loses too much.
WIDTHS = (8.5, 6.5, 5.5, 4.5, 4.0, 3.5, 3.0, 2.5)
#: Change of a latent below which delta keeps it, and frames over which its operations are counted.
CHANGE, REUSED_FRAMES = 0.02, 32


@dataclass(frozen=True)
class Step:
    """A row to be measured. name; about: what was done; world, and its backend; file_mb: of its weights."""

    name: str
    about: str
    world: World
    backend: str
    file_mb: float

    def make(self) -> World:
        """Return the world on its backend."""
        return use_backend(copy.copy(self.world), self.backend, quiet=True)


@dataclass(frozen=True)
class Kept:
    """What was found so far, as files in `folder`; key: of what it depends on."""

    folder: Path
    key: str

    def truth(self, step: Step, test: TruthTest, quiet: bool) -> Truth:
        """Return what is kept of a step, or run the test and keep what it finds."""
        key = self.key + identity_of(step.world)
        file = self.folder / f"{step.name.replace(' ', '-')}.npz"
        if file.exists():
            with np.load(file, allow_pickle=False) as held:
                if str(held["key"]) == key:
                    return Truth(held["psnr_db"], dict(zip(held["names"].tolist(), held["right"], strict=True)))
        truth = test.run(step.make(), quiet, step.name)
        names, right = list(truth.right), list(truth.right.values())
        whole = file.with_suffix(".part.npz")
        np.savez(
            whole,
            key=np.array(key),
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
    also: Sequence[str | Path] = (),
    forms: Sequence[str] = FORMS,
) -> Ladder:
    """Measure `world` and its cheaper forms on held-out `data`; writes ladder.html and ladder.json to folder `out`.

    target_drop: points of a share that a row may lose, by the upper end of the interval; starts, horizon: of
    roll-outs, in frames; seconds: of timing per row and batch size; also: folders of forms of the world that were made
    before, a row each; forms: those that are made and tried here, of `FORMS`. Raises `ConfigError`, `JudgeError`,
    `DatasetError` or `CheckpointError`. Cost: some minutes for a world of 64 px.
    """
    if not 0 < target_drop <= 100:
        raise ConfigError(f"`target_drop` must be above 0, in points of 100, got {target_drop:g}. Use 0.9.")
    if starts < 2 or horizon < 1 or seconds <= 0:
        got = f"{starts}, {horizon} and {seconds:g}"
        raise ConfigError(f"`starts`, `horizon` and `seconds` must be above 1, 0 and 0, got {got}. Use 1000, 10 and 3.")
    if unknown := [name for name in forms if name not in FORMS]:
        raise ConfigError(
            f"`forms` must be some of {', '.join(FORMS)}, got {unknown[0]!r}. {nearest(unknown[0], FORMS)}"
        )
    loaded, target = load_world(world), Path(out)
    refuse_packed(loaded)
    others = [form_of(loaded, folder) for folder in also]
    if len({Path(folder).name for folder in also}) < len(also):
        raise ConfigError(f"`also` must be folders of different names, got {', '.join(map(str, also))}. Rename one.")
    work = target / "ladder" / identity_of(loaded)  # another world has another folder
    with only_writer(target / "ladder", ".measuring", "measured"), closing(open_dataset(data)) as dataset:
        test = TruthTest(loaded, dataset, starts, horizon)
        work.mkdir(exist_ok=True)
        kept = Kept(work, json.dumps([identity(dataset), starts, horizon, versions(), commit()]))
        steps = precisions(loaded, "int8" in forms)
        truths = {step.name: kept.truth(step, test, quiet) for step in steps}
        reference = truths[steps[0].name]
        fast = before = fastest(steps, work, seconds, quiet)
        for kind, smaller, amounts in (("pruned", thinned, SHARES), ("bits", narrow, WIDTHS)):
            last = before
            for amount in amounts if kind in forms else ():
                step = smaller(before, amount, work, quiet)
                steps.append(step)
                truths[step.name] = kept.truth(step, test, quiet)
                if not is_within(test.lost(reference, truths[step.name]), target_drop):
                    break
                last = step
            before = last
        more = [given(fast, other) for other in others] + ([reusing(before)] if "delta" in forms else [])
        steps += more
        truths |= {step.name: kept.truth(step, test, quiet) for step in more}
        speeds = measure_speed({step.name: step.make for step in steps}, BATCHES, seconds, quiet)
        on, prices = hardware(loaded.device), read_prices()
        price = price_of(prices, prices.match(on.device, on.threads), on.device)
        fps = Amount(loaded.config.fps, "frames/s", ("world",))
        rungs = []
        for step in steps:
            many, lost = speeds[step.name][BATCHES[-1]], test.lost(reference, truths[step.name])
            rungs.append(
                Rung(
                    name=step.name,
                    about=step.about,
                    parameters=num_parameters(step.world),
                    file_mb=step.file_mb,
                    gflop=operations(step),
                    speed=speeds[step.name],
                    cost_per_user_hour=serving_row(many, "measured", price, fps, prices.currency).cost_per_user_hour,
                    value=test.value(truths[step.name]),
                    lost=lost,
                    within=is_within(lost, target_drop),
                    backend=step.backend,
                    folder=folder_of(step.world, loaded, target),
                )
            )
        found = Ladder(
            world=loaded.config.name,
            identity=identity_of(loaded),
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


def precisions(world: World, int8: bool = True) -> list[Step]:
    """Return the steps that leave the weights as they are: the reference, and what computes faster; int8: that, too."""
    whole = float32_mb(world)
    steps = [Step("dense fp32", "eager torch, the reference", world, "reference", whole)]
    if importlib.util.find_spec("openvino") is not None:
        name = "bf16" if cpu_has_bf16() else "fp32 compiled"
        steps.append(Step(name, "OpenVINO; weights kept as float16", world, "openvino-bf16", whole / 2))
        if int8 and importlib.util.find_spec("nncf") is not None:
            steps.append(Step("int8", "OpenVINO, calibrated on roll-outs", world, "openvino-int8", whole / 2))
    return steps


def fastest(steps: list[Step], work: Path, seconds: float, quiet: bool) -> Step:
    """Return the step that makes most frames for the largest batch, by a measurement that is kept in `work`."""
    file, by_name = work / "fastest.json", {step.name: step for step in steps}
    if not file.exists():
        speeds = measure_speed({step.name: step.make for step in steps}, BATCHES[-1:], seconds, quiet)
        best = max(by_name, key=lambda name: speeds[name][BATCHES[-1]].fps_p50)
        write_atomic(file, json.dumps({"fastest": best}))
    return by_name.get(str(read_json(file, "which step was fastest").get("fastest")), steps[-1])


def thinned(before: Step, share: float, work: Path, quiet: bool) -> Step:
    """Return the step from `before` to MLPs of fewer channels, without a share; the world is kept in `work`."""
    name = f"{before.name}, {100 * share:g} % pruned"
    folder = work / name.replace(" ", "-")
    if not (folder / "config.json").exists():
        save_world(pruned_world(before.world, share, Probe(before.world)), folder)
    about = "those channels of the MLPs that are missed least are gone, the others fitted"
    return Step(name, about, load_world(folder), before.backend, size_mb(folder))


def narrow(before: Step, bits: float, work: Path, quiet: bool) -> Step:
    """Return the step from `before` to weights of `bits` on average; the world is kept in `work`."""
    name = f"{before.name}, {bits:g}-bit weights"
    folder = work / name.replace(" ", "-")
    if not (folder / "config.json").exists():
        own = work / identity_of(before.world)
        own.mkdir(exist_ok=True)
        measured = Measured.of(before.world, own)
        done = quantized(before.world, bits, Probe(before.world), measured, quiet)
        save_world(done.world, folder, packing=done.packing)
    about = "bits by sensitivity, unpacked when loaded"
    return Step(name, about, load_world(folder), before.backend, size_mb(folder))


def form_of(world: World, folder: str | Path) -> World:
    """Return the world in `folder`, a form of `world`. Raises `ConfigError` if it makes other pictures or actions."""
    form = load_world(folder)
    same = form.size_px == world.size_px and form.action_space.same_actions(world.action_space)
    if not same or form.config.context != world.config.context:
        raise ConfigError(
            f"`also` must be forms of {world.config.name}, with its pictures and actions, got {str(folder)!r}. Take "
            "what worldling compress made of it."
        )
    return form


def given(fast: Step, form: World) -> Step:
    """Return the step to a form of the world that was made before, on the backend of `fast`."""
    done = form.card.get("compression", {})
    about = ", ".join(f"{name} {value}" for name, value in done.items() if name != "of") or "as it is"
    assert form.path is not None, "it was read from a folder"
    return Step(f"{fast.name}, {form.path.name}", about, form, fast.backend, size_mb(form.path))


def folder_of(form: World, world: World, ladder: Path) -> str | None:
    """Return where the weights of a form lie, seen from the folder of the ladder; None if they are the world's own."""
    if form.path is None or form.path == world.path:
        return None
    return os.path.relpath(form.path.resolve(), ladder.resolve())


def size_mb(folder: Path) -> float:
    """Return what a world's weights take on disk, in MB."""
    return (folder / "weights.safetensors").stat().st_size / 1e6


def operations(step: Step) -> float:
    """Return the floating-point operations of a frame of a step, in 10**9."""
    if DELTA not in step.backend:
        return gflop(step.world)
    return gflop(step.world, f"reference{DELTA}{CHANGE:g}", REUSED_FRAMES)


def reusing(before: Step) -> Step:
    """Return the step from `before` to making only the cells of a frame that may change."""
    about = "only cells that may change are made, only what they change is drawn (backends/delta.py)"
    return dataclasses.replace(
        before, name=f"{before.name}, delta", about=about, backend=f"{before.backend}{DELTA}{CHANGE:g}"
    )


@torch.no_grad()  # the counter looks at gradients of what is called with weights, and finds none in inference mode
def gflop(world: World, backend: str = "reference", frames: int = 1) -> float:
    """Return the floating-point operations of a frame, in 10**9: matrix products and filters, two for a product.

    The mean of some frames after the world's first clip, under its actions: with delta they differ. On `backend`, which
    must be one of eager torch.
    """
    from torch.utils.flop_counter import FlopCounterMode

    world = use_backend(copy.copy(world), backend, quiet=True)
    clip, count = world.contexts[0], world.config.context
    state = world.start(clip.frames[:count], clip.actions[: count - 1])
    actions = torch.from_numpy(world.action_space.encode(clip.actions))
    counter: Any = FlopCounterMode(display=False)  # begins anew each time
    total = 0.0
    for frame in range(frames):
        vectors = actions[(count - 1 + frame) % len(actions)][None]
        inputs = world.inputs(state, vectors, world.guess(state, vectors))
        with counter:
            world.backend.tick(inputs, decode=True)
        total += counter.get_total_flops()
        world.advance(state, vectors)
    return total / 1e9 / frames
