"""Which form of a world to run, by the ladder that was measured of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from worldling.backends.choose import BACKENDS, DELTA
from worldling.checkpoint import read_json
from worldling.compress.run import identity_of
from worldling.errors import CheckpointError
from worldling.machine import cpu_name
from worldling.world_files import boundary, find_world, load_world

#: The ladder of a world, in its folder: where `worldling ladder` writes it if nothing else is said.
LADDER = Path("ladder") / "ladder.json"


@dataclass(frozen=True)
class Recommended:
    """What to run in place of a world. folder: of the form; backend: by name; about: why, in a line for people."""

    folder: Path
    backend: str
    about: str


def recommended(world: str | Path) -> Recommended | None:
    """Return the form of the world in folder `world` that is fastest for one player, by the ladder in that folder.

    Of the forms that lost less than was asked for. None if there is no ladder, if it is damaged or of other weights, or
    if no form is within the bound or lies beside the world or in it. Of a ladder that was measured on another machine
    the form counts, and its backend is chosen for this one.
    """
    source = find_world(world)
    file = source / LADDER
    if not file.is_file():
        return None
    try:
        found = read_json(file, "a ladder", boundary(source))
        if found["identity"] != identity_of(load_world(source)):
            return None
        rows = [row for row in found["rungs"][1:] if row["within"] is True]
        best = max(rows, key=lambda row: float(row["speed"]["1"]["fps_p50"]), default=None)
        if best is None:
            return None
        folder = source if best["folder"] is None else (file.parent / str(best["folder"])).resolve()
        backend, about = str(best["backend"]), f"{best['name']}: within {found['target_drop']:g} points by {file}"
        here = found["machine"]["cpu"] == cpu_name()
        kind, delta, threshold = backend.partition(DELTA)
        if kind not in BACKENDS or not folder.is_relative_to(source.resolve().parent):
            return None
        find_world(folder)
    except (CheckpointError, KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None
    return Recommended(folder, backend if here else f"auto{delta}{threshold}", about)
