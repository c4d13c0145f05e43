"""The commands `worldling export` and `worldling lesson`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worldling.errors import ConfigError

Command = Callable[..., argparse.ArgumentParser]


def add_export(command: Command) -> None:
    """Add `worldling export`."""
    p = command("export", _export, "write a world as a file that plays by itself, without a server")
    p.add_argument("world", nargs="*", help="folder of a world, or name of a bundled one; several for --gallery")
    p.add_argument("--html", metavar="FILE", help="one page that plays the world; opens by a double click")
    p.add_argument("--folder", metavar="FOLDER", help="the same as a folder for any web host, smaller to fetch")
    p.add_argument(
        "--gallery", metavar="FOLDER", help="pages of these worlds, all bundled ones by default, and one to choose from"
    )
    p.add_argument("--onnx", metavar="FILE", help="the making of a frame as a graph, for Unity, Godot or C++")
    _add_bits(p)


def _add_bits(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--bits", type=int, default=16, help="of a weight: 16; 8 makes the file a quarter to half smaller; 32 is exact "
        "(default: 16; a world from `worldling compress` keeps the bits that it has)"
    )  # fmt: skip
    p.add_argument("--full", dest="bits", action="store_const", const=32, help="the same as --bits 32")


def add_lesson(command: Command) -> None:
    """Add `worldling lesson`."""
    p = command("lesson", _lesson, "write a physics lesson as a page: a scene to try, a plot, questions")
    p.add_argument("lesson", help="a TOML file (docs/export.md), or a bundled lesson: friction, ramp")
    p.add_argument("--html", metavar="FILE", required=True, help="the page to write; opens by a double click")
    _add_bits(p)


def _lesson(a: argparse.Namespace) -> dict[str, Any] | None:
    from worldling.export.lesson import export_lesson, read_lesson
    from worldling.report.values import to_json

    lesson = read_lesson(a.lesson)
    _in_a_folder("html", Path(a.html))
    found = export_lesson(lesson, a.html, a.bits, a.json)
    if a.json:
        return {"lesson": to_json(found)}
    print(f"{a.html}: {found.bytes / 1e6:.1f} MB", file=sys.stderr)
    unit = found.unit
    print(f"  read in real pictures within {found.reading:.2f} {unit} of the engine, on average", file=sys.stderr)
    for label, error in found.error.items():
        print(f"  predicted, {label}: {error:.2f} {unit} off", file=sys.stderr)
    print(f"  two of three runs in other scenes of the kind: within {found.usual:.2f} {unit}", file=sys.stderr)
    return None


def _in_a_folder(option: str, path: Path) -> None:
    """Raise `ConfigError` unless a file can be written at `path`."""
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigError(f"`--{option}` must be a file in a folder that exists, got {str(path)!r}. Make the folder.")


def _export(a: argparse.Namespace) -> dict[str, Any] | None:
    from worldling.export.gallery import export_gallery
    from worldling.export.write import export_folder, export_html, export_onnx
    from worldling.report.values import to_json
    from worldling.world_files import load_world

    kinds = ("html", "folder", "onnx", "gallery")
    wanted = {kind: Path(path) for kind in kinds if (path := getattr(a, kind)) is not None}
    if not wanted:
        raise ConfigError(
            "`--html`, `--folder`, `--onnx` or `--gallery` must be given, got none. Write for example --html w.html."
        )
    if len(a.world) != 1 and wanted.keys() != {"gallery"}:
        raise ConfigError(f"`world` must be one, got {len(a.world)}. Name one, or several with --gallery alone.")
    for kind, path in wanted.items():
        if kind in ("html", "onnx"):
            _in_a_folder(kind, path)
    world, found = load_world(a.world[0]) if wanted.keys() != {"gallery"} else None, []
    for kind, path in wanted.items():
        if kind == "gallery":
            found.append(export_gallery(path, a.world, a.bits, a.json))
        elif kind == "folder":
            assert world is not None
            found.append(export_folder({world.config.name: world}, path, a.bits, a.json))
        else:
            assert world is not None
            found.append((export_html if kind == "html" else export_onnx)(world, path, a.bits, a.json))
        if not a.json:
            print(f"{path}: {found[-1].bytes / 1e6:.1f} MB", file=sys.stderr)
            for name, agreement in found[-1].agreement.items():
                worst = "" if agreement.equal == 1 else f", the worst at {agreement.worst_db:.0f} dB"
                print(
                    f"  {name}: {agreement.equal:.0%} of {agreement.frames} frames are those of the reference{worst}",
                    file=sys.stderr,
                )
                if agreement.original_db is not None:
                    print(f"  rounding its weights changed them by {agreement.original_db:.1f} dB", file=sys.stderr)
    return {"exported": [to_json(one) for one in found]} if a.json else None
