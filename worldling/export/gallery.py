"""A folder of worlds with a start page: moving pictures, what to do, and what the cards say of truth and cost."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worldling.description import describe
from worldling.export.bundle import Packed, write_folder
from worldling.export.check import Agreement
from worldling.export.write import Exported, exported, packed_world
from worldling.report.preview import write_preview
from worldling.world import World
from worldling.world_files import bundled_worlds, load_world

#: Frames a second of a moving picture that is made of a world's starts.
STARTS_FPS = 4


def export_gallery(folder: str | Path, names: Sequence[str] = (), bits: int = 16, quiet: bool = True) -> Exported:
    """Write a page for each world, and index.html to choose one, into `folder`. Raises `ExportError`.

    names: of bundled worlds, or folders; all bundled ones by default.
    """
    packed: dict[str, Packed] = {}
    agreement: dict[str, Agreement] = {}
    listings = []
    for name in names or bundled_worlds():
        world = load_world(name)
        id = Path(name).name
        packed[id], agreement[id] = packed_world(world, id, bits, quiet)
        listings.append(listing(world, id))
    return exported(write_folder(packed, Path(folder), listings), agreement)


def listing(world: World, id: str) -> dict[str, Any]:
    """Return a world as the start page shows it (player/start.js)."""
    said = describe(world, world.config.fps)
    kept = ("title", "what", "how", "verdict", "size_px", "picture_px", "aspect", "fps")
    return {
        "id": id,
        "group": "bundled",
        "parameters": sum(world.card.get("parameters", {}).values()),
        "cost": told(world.card),
        "preview": f"data:image/webp;base64,{base64.b64encode(_preview(world)).decode()}",
        **{key: said[key] for key in kept},
    }


def told(card: dict[str, Any]) -> str:
    """Return a line of what training cost and how true the world is, as far as its card says so."""
    cost, quality = card.get("cost", {}), card.get("quality", {})
    minutes, error = sum(cost.get("minutes", {}).values()), quality.get("psnr_h10_db")
    parts = [f"trained in {minutes:.0f} minutes on {cost.get('device', 'an unknown device')}"] if minutes else []
    parts += [f"PSNR {error:.0f} dB after 10 frames"] if isinstance(error, (int, float)) else []
    return " · ".join(parts)


def _preview(world: World) -> bytes:
    file = world.path / "preview.webp" if world.path is not None else None
    if file is not None and file.is_file():
        return file.read_bytes()
    return write_preview(world.contexts[0].frames, STARTS_FPS)
