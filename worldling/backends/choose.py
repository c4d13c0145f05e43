"""Choose a backend by name, or the best one for this machine.

reference        eager fp32 torch; the others are measured against it
torch            compiled torch: on a CPU bf16 where it has bf16, else fp32; on a GPU bf16 with CUDA graphs
openvino-f32     OpenVINO on the CPU, fp32
openvino-bf16    the same in bf16
openvino-int8    the same in int8, calibrated on the world's own roll-outs
auto             the fastest of these that starts without a long build
"""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Callable

from worldling.backend import Backend, Reference
from worldling.backends import compiled, openvino_graph
from worldling.backends.delta import Delta, delta_threshold
from worldling.backends.openvino import PRECISION, OpenVino
from worldling.backends.openvino_cells import OpenVinoCells
from worldling.errors import BackendError, nearest
from worldling.machine import cpu_has_int8
from worldling.world import World

# start(world that runs on the reference, why this backend was chosen, quiet)
Start = Callable[[World, str, bool], Backend]


def _start_reference(world: World, why: str, quiet: bool) -> Backend:
    return Reference(world, f"{why}; eager fp32 torch")


def _openvino(name: str) -> Start:
    return lambda world, why, quiet: OpenVino(world, name, why, quiet)


BACKENDS: dict[str, Start] = {
    "reference": _start_reference,
    "torch": compiled.start,
    **{name: _openvino(name) for name in PRECISION},
}

# The bound of `err` (see deviation.py): relative error of a frame against the reference's, over 256-step roll-outs.
BOUND = {"reference": 0.0, "torch": 0.02, "openvino-f32": 1e-3, "openvino-bf16": 0.02, "openvino-int8": 0.05}
#: A backend's name with this and a threshold behind it keeps what changes by less (delta.py).
DELTA = "+delta="


def bound(name: str) -> float:
    """Return the bound of `err` of backend `name`; with delta that of the same backend without."""
    return BOUND[name.partition(DELTA)[0]]


def use_backend(world: World, name: str = "auto", quiet: bool = False) -> World:
    """Set `world.backend` to backend `name`; returns `world`. Prints the choice and its reason on stderr unless quiet.

    "NAME+delta=0.02" keeps cells whose latent changes by less than that (delta.py). States started before still work,
    but slower. Raises `BackendError` if the backend is unknown, not installed or cannot be built, and `ConfigError`.
    """
    name, reuses, given = name.partition(DELTA)
    threshold = delta_threshold(given) if reuses else None
    if name != "auto" and name not in BACKENDS:
        raise BackendError(
            f"`backend` must be auto or one of {', '.join(BACKENDS)}, got {name!r}. {nearest(name, BACKENDS)}"
        )
    chosen, why = choose(world) if name == "auto" else (name, "as asked")
    built_from = copy.copy(world)  # backends are built from a world that runs on the reference
    built_from.backend = Reference(world)
    if threshold is not None and world.device.type != "cpu":
        raise BackendError(f"`device` must be cpu for delta, got {world.device}. Leave one of them out.")
    if threshold is None:
        world.backend = BACKENDS[chosen](built_from, why, quiet)
    elif chosen in PRECISION:
        world.backend = Delta(world, OpenVinoCells(built_from, chosen, why, quiet), threshold)
    elif chosen == "reference":
        world.backend = Delta(world, Reference(world, f"{why}; eager fp32 torch"), threshold)
    else:
        raise BackendError(f"`delta` must be used with openvino or the reference, got {chosen}. Leave one of them out.")
    if not quiet:
        print(f"backend {world.backend.name}: {world.backend.reason}", file=sys.stderr, flush=True)
    return world


def choose(world: World) -> tuple[str, str]:
    """Return the fastest backend that can start within seconds on this machine, and the reason."""
    if world.device.type != "cpu":
        return "torch", f"the world is on {world.device}"
    if importlib.util.find_spec("openvino") is not None:
        if not cpu_has_int8():
            return "openvino-bf16", "this CPU has no instructions for int8, so that is no faster"
        if openvino_graph.is_built(world, "openvino-int8"):
            return "openvino-int8", "fastest on a CPU"
        return "openvino-bf16", "starts at once; `worldling bench` or `--backend openvino-int8` builds the faster int8"
    if compiled.compiler() is not None:
        return "torch", 'openvino is not installed (pip install "worldling[fast]" is faster)'
    return "reference", 'neither openvino nor a C++ compiler was found (pip install "worldling[fast]" is faster)'
