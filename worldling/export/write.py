"""Export worlds: as a graph, as a page of one file, or as a folder of pages. What is written is compared first."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worldling.config import write_atomic
from worldling.errors import ExportError
from worldling.export.bundle import Packed, one_file, pack, write_folder
from worldling.export.check import LEAST_DB, Agreement, compare
from worldling.export.graph import about, build_encoder, build_graph, without_metadata
from worldling.export.weights import check_bits, narrowed
from worldling.packed import Packing
from worldling.world import World


@dataclass(frozen=True)
class Exported:
    """What was written. files: their paths; bytes: their size in all; agreement: with the reference, by world."""

    files: list[str]
    bytes: int
    agreement: dict[str, Agreement]


def export_onnx(world: World, file: str | Path, bits: int = 16, quiet: bool = True) -> Exported:
    """Write the graph of `world` (graph.py) to `file`. Raises `ExportError` if it is not near enough to the reference.

    bits: of a weight, 32, 16 or 8.
    """
    _, graph, _, agreement = _checked(world, bits, quiet)
    write_atomic(file, graph)
    return exported([Path(file)], {world.config.name: agreement})


def export_html(world: World, file: str | Path, bits: int = 16, quiet: bool = True) -> Exported:
    """Write a page that plays `world` without a server to `file`: one HTML file. Raises `ExportError`."""
    packed, agreement = packed_world(world, world.config.name, bits, quiet)
    write_atomic(file, one_file(packed))
    return exported([Path(file)], {world.config.name: agreement})


def export_folder(worlds: Mapping[str, World], folder: str | Path, bits: int = 16, quiet: bool = True) -> Exported:
    """Write a page for each of `worlds`, by the name of its file, and what they share. Raises `ExportError`."""
    packed: dict[str, Packed] = {}
    agreement: dict[str, Agreement] = {}
    for name, world in worlds.items():
        packed[name], agreement[name] = packed_world(world, name, bits, quiet)
    return exported(write_folder(packed, Path(folder)), agreement)


def packed_world(world: World, id: str, bits: int, quiet: bool) -> tuple[Packed, Agreement]:
    """Return the page parts of a world that was compared with the reference; id: names its page."""
    world, graph, packing, agreement = _checked(world, bits, quiet)
    graph = without_metadata(graph)  # which the page has as json
    encoder = build_encoder(world, bits, packing).SerializeToString()
    return pack(graph, encoder, {"id": id, **about(world), **IN_PAGE}), agreement


#: What the player is told of a world that runs in its page, beside `graph.about`.
IN_PAGE = {"group": "own", "backend": "WebAssembly", "beside": False, "can_start_from_picture": True}


def _checked(world: World, bits: int, quiet: bool) -> tuple[World, bytes, Packing, Agreement]:
    """Return the world that is exported, its graph, how its weights are packed, and how it was compared.

    Raises `ExportError` if the graph is not near enough to it.
    """
    check_bits(bits)
    original = world
    world, packing = narrowed(world, bits)
    graph = build_graph(world, bits, packing).SerializeToString()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "world.onnx"
        file.write_bytes(graph)
        found = compare(world, file, quiet, None if world is original else original)
    if not found.is_close:
        raise ExportError(
            f"`world` must give frames of at least {LEAST_DB:g} dB where it is exported, got {found.worst_db:.0f} dB, "
            f"and {found.equal:.0%} of {found.frames} equal ones. Try --bits 32: float32 weights."
        )
    return world, graph, packing, found


def exported(files: list[Path], agreement: dict[str, Agreement]) -> Exported:
    """Say what was written."""
    return Exported([str(file) for file in files], sum(file.stat().st_size for file in files), agreement)
