"""The commands. Each one calls one Python function and prints what it returns; `--json` prints one json object.

Exit status: 0 done, 2 error (one line on stderr says what was wrong and what to do), 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import errno
import json
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from worldling.cli.compressing import add_compress, add_ladder
from worldling.cli.exporting import add_export, add_lesson
from worldling.cli.judging import add_bench, add_cost, add_judge
from worldling.cli.options import BACKENDS, Parser, count, names_world, open_worlds, parse_pairs
from worldling.cli.recording import add_record, record_by_hand
from worldling.config import finite, to_dict
from worldling.data.formats.registry import import_data, known_formats
from worldling.data.picture_sizes import advice
from worldling.errors import ConfigError, DatasetError, DiskFullError, WorldlingError
from worldling.untrusted import printable

EPILOG = """example:
  worldling record gym_pusht/PushT-v0 --frames 50000 --out data/pusht --policy worldling.recipes.policies:pusht_pusher
  worldling train data/pusht --out worlds/pusht --minutes 45
  worldling judge worlds/pusht --data data/pusht-test
  worldling play worlds/pusht --beside
"""


class HelpWithDefaults(argparse.ArgumentDefaultsHelpFormatter):
    """Help that shows the default of every option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return (
            action.help
            if action.default is None or action.default is False or action.default in ("", [])
            else super()._get_help_string(action)
        )


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    given = sys.argv[1:] if argv is None else argv
    try:
        arguments = build_parser().parse_args(given)
    except ConfigError as error:
        return _fail(error, argparse.Namespace(json="--json" in given))
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    arguments.answers = sys.stdout
    try:
        with redirect_stdout(sys.stderr):  # what environments and models print is no part of the answer
            result = arguments.run(arguments)
    except WorldlingError as error:
        return _fail(error, arguments)
    except KeyboardInterrupt:
        print(f"\nworldling: stopped; {arguments.stopped}", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            full = DiskFullError(f"the disk must have room, got: {error}. Free some and run the command again.")
            return _fail(full, arguments)
        refused = f"the disk must be readable and writable, got: {error}. Choose another folder, or its permissions."
        return _fail(WorldlingError(refused), arguments)
    if result is not None:
        print(json.dumps(finite(result), allow_nan=False) if arguments.json else _format(result))
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    parser = Parser(
        prog="worldling",
        description="Small world models: record, train, judge, play.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = sys.modules["worldling"].__version__  # the package itself stands above all others
    parser.add_argument("--version", action="version", version=f"worldling {version}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], Any], help: str, stopped: str = "nothing was changed."
    ) -> argparse.ArgumentParser:
        """Add a command; stopped: printed after Ctrl-C, says what is kept."""
        sub = commands.add_parser(
            name, help=help, description=help[0].upper() + help[1:] + ".", formatter_class=HelpWithDefaults
        )
        sub.add_argument("--json", action="store_true", help="print one json object on stdout, and no progress")
        sub.set_defaults(run=run, stopped=stopped, parser=sub)
        return sub

    p = command("play", _play, "play a world in the browser")
    p.add_argument(
        "world",
        nargs="?",
        help="folder of a world, name of a bundled one, or file.py:callable that returns a WorldModel (default: a "
        "start page with the bundled worlds and those in the folder worlds)",
    )
    p.add_argument(
        "--world-arg", action="append", default=[], metavar="NAME=VALUE", help="argument of the callable; repeatable"
    )
    p.add_argument(
        "--beside",
        nargs="?",
        const=True,
        default=False,
        metavar="ENV",
        help="show the real environment next to the model, under the same actions; ENV: its name as for record, "
        "needed for one of your own, such as my_game.py:MyGame",
    )
    p.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes any free one")
    p.add_argument("--host", default="127.0.0.1", help="address to listen on; the default allows this machine only")
    p.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name or address under which players open the page; needed with --host; repeatable",
    )
    p.add_argument("--max-sessions", type=int, default=16, help="players at the same time; others are asked to wait")
    p.add_argument("--fps", type=float, help="frames per second at speed 1 (default: that of the data)")
    p.add_argument("--backend", default="auto", help=BACKENDS)
    p.add_argument("--delta", metavar="CHANGE", help="short for --backend NAME+delta=CHANGE, such as 0.02")
    p.add_argument(
        "--alarm",
        nargs="?",
        const="",
        metavar="DATA",
        help="show a warning when the model's frames no longer look like real ones; DATA: "
        "data set to fit the alarm on (default: the alarm fitted by judge --suite horizon)",
    )
    p.add_argument("--no-browser", action="store_true", help="do not open a browser")

    add_record(command, _record)

    p = command(
        "scenes",
        _scenes,
        "list the physics scenes and write a contact sheet; make their test set",
        "finished parts of the test set are kept. Run the same command again to continue.",
    )
    p.add_argument("--sheet", default="scenes.png", help="file of the contact sheet")
    p.add_argument(
        "--exam", metavar="FOLDER", help="also make the labelled test set of `judge --suite ocp` in this folder"
    )
    p.add_argument("--trials", type=count, default=400, help="test trials of each scene")
    p.add_argument("--workers", type=int, default=2, help="number of processes")

    p = command("import", _import, "make a data set from files of another format, such as a folder of videos")
    p.add_argument("path", help="the files, or their folder")
    p.add_argument("--out", required=True, help="folder of the data set")
    p.add_argument("--size-px", default="64", help="side of the square frames, or WIDTHxHEIGHT such as 96x72")
    p.add_argument("--fit", default="pad", help="what is done to pictures of another shape: pad, crop or squeeze")
    p.add_argument("--format", help=f"{known_formats()} (default: detected from the files)")
    p.add_argument(
        "--frame-skip", type=int, help="keep every n-th frame; only for data without actions (default: 1; physion 8)"
    )

    p = command(
        "train",
        _train,
        "train a world on a data set; run again to resume",
        "what was trained is kept. Run the same command again to continue.",
    )
    p.add_argument("data", help="folder of a data set")
    p.add_argument(
        "--out",
        required=True,
        help="folder of the world; checkpoints, loss curves and sample frames go to `train/` in it",
    )
    p.add_argument(
        "--minutes",
        type=float,
        help="time for both stages together; more than last time trains a finished world further (default: what a "
        "playable world of a small game needs on this machine, or what the resumed run was given)",
    )
    p.add_argument("--steps", type=count, default=0, help="steps of each stage, if above 0; then --minutes is ignored")
    p.add_argument("--size", default="s", help="size of the networks: xs, s, s+, m, l or g")
    p.add_argument(
        "--passes",
        type=int,
        default=1,
        help="denoising passes per frame: 1 for a deterministic world, 2 or 4 for a stochastic one",
    )
    p.add_argument("--seed", type=int, default=0, help="of the weights and everything drawn at random")
    p.add_argument("--device", default="auto", help="cpu, cuda or auto")
    p.add_argument(
        "--mirror",
        default="",
        help="augment with reflections under which the world obeys the same laws; x:0: flipped left to right, action "
        "value 0 changes its sign; y:2=3: flipped top to bottom, choices 2 and 3 are swapped; d:0=1: reflected along "
        "the diagonal, values 0 and 1 are swapped; x:0,y:1 combines two",
    )
    p.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any other setting of TrainConfig; repeatable"
    )

    add_judge(command)

    add_bench(command)
    add_cost(command)
    add_compress(command)
    add_ladder(command)
    add_export(command)
    add_lesson(command)

    p = command("info", _info, "describe a world or a data set")
    p.add_argument("path", help="folder of a world or a data set, or name of a bundled world")
    command("list", _list, "list the bundled worlds")
    return parser


def _play(a: argparse.Namespace) -> None:
    from worldling.serve.play import play

    if isinstance(a.beside, str) and a.world is None and names_world(a.beside):
        a.world, a.beside = a.beside, True  # `play --beside pusht`
    if a.delta is not None:
        a.backend += f"+delta={a.delta}"

    def announce(url: str) -> None:
        told = {"url": url, "world": a.world, "backend": world and world.backend.name}
        print(json.dumps(told), file=a.answers, flush=True)

    if a.world and names_world(a.world) and a.backend == "auto":
        from worldling.compress.recommended import recommended

        if form := recommended(a.world):
            a.world, a.backend = str(form.folder), form.backend
            if not a.json:
                print(f"playing {form.about} (--backend NAME plays it as it is)", file=sys.stderr, flush=True)
    world = open_worlds([a.world], a.world_arg, a.backend, quiet=a.json)[0] if a.world else None
    play(
        world,
        a.beside,
        a.port,
        a.host,
        a.fps,
        not a.no_browser,
        a.backend,
        False if a.alarm is None else a.alarm or True,
        None,
        a.json,
        announce if a.json else None,
        a.allow_host,
        a.max_sessions,
    )


def _say_size(size_px: int | str, fit: str) -> None:
    """Say at once, on stderr, that frames of such a side need another grid. Raises `ConfigError` for no size."""
    from worldling.data.fit import make_fit

    if line := advice(make_fit(size_px, fit).side):
        print(line, file=sys.stderr, flush=True)


def _record(a: argparse.Namespace) -> dict[str, Any]:
    if a.policy == "human":
        return record_by_hand(a)
    from worldling.data.record import record

    _say_size(a.size_px, a.fit)
    return record(
        a.env,
        a.out,
        a.frames,
        a.policy,
        a.size_px,
        a.frame_skip,
        a.workers,
        a.seed,
        parse_pairs(a.env_arg, "env-arg"),
        a.resume,
        a.json,
        a.fit,
    )


def _scenes(a: argparse.Namespace) -> dict[str, Any]:
    from worldling.data.simulators import check_scenes

    check_scenes()
    from worldling.scenes.sheet import scene_list, write_sheet

    found = {"scenes": scene_list(), "contact_sheet": str(write_sheet(a.sheet))}
    if a.exam:
        from worldling.judge.truth.exam import make_exam

        exam = make_exam(a.exam, {"test": -(-a.trials // 2)}, workers=a.workers, quiet=a.json)
        found["exam"] = {"path": a.exam, "episodes": len(exam.dataset), "set_aside": exam.tally(), **exam.checksums()}
    return found


def _import(a: argparse.Namespace) -> dict[str, Any]:
    _say_size(a.size_px, a.fit)
    return to_dict(import_data(a.path, a.out, a.size_px, a.frame_skip, a.fit, format=a.format, quiet=a.json))


def _train(a: argparse.Namespace) -> dict[str, Any]:
    from worldling.train.by_name import train_by_name

    settings = {name: getattr(a, name) for name in ("size", "steps", "passes", "seed", "mirror")}
    settings["minutes"] = a.minutes or 0.0
    world = train_by_name(a.data, a.out, a.device, a.json, **{**settings, **parse_pairs(a.set, "set")})
    return {"world": str(a.out), **{k: world.card[k] for k in ("quality", "cost", "parameters")}}


def _info(a: argparse.Namespace) -> dict[str, Any]:
    if (Path(a.path) / "dataset.json").is_file():
        from worldling.data.contact_sheet import dataset_info, write_contact_sheet

        info = dataset_info(a.path)
        try:
            sheet = str(write_contact_sheet(a.path))
        except (OSError, DiskFullError) as error:  # a folder on a medium that can only be read, or full
            sheet = None
            print(f"no contact sheet: {a.path} cannot be written to ({error})", file=sys.stderr, flush=True)
        return {**info, "contact_sheet": sheet}
    from worldling.world_files import bundled_worlds, find_world, load_world

    if Path(a.path).is_dir() and not (Path(a.path) / "config.json").exists():
        raise DatasetError(
            f"`{a.path}` must be a world (config.json) or a data set (dataset.json), got neither in that folder. "
            f"Bundled worlds: {', '.join(bundled_worlds()) or 'none'}."
        )
    world, folder = load_world(a.path), find_world(a.path)
    made_from_it = ("train", "judge", ".engine")
    files = [f for f in folder.rglob("*") if f.is_file() and f.relative_to(folder).parts[0] not in made_from_it]
    size = sum(f.stat().st_size for f in files)
    return {"world": str(folder), "bytes": size, **to_dict(world.config), "card": world.card}


def _list(a: argparse.Namespace) -> dict[str, Any]:
    from worldling.checkpoint import read_json
    from worldling.world_files import BUNDLED, bundled_worlds

    worlds = []
    for name in bundled_worlds():
        config, card = (read_json(BUNDLED / name / file, "a bundled world") for file in ("config.json", "card.json"))
        worlds.append(
            {
                "name": name,
                "env_id": card["source"]["env_id"],
                "size": config["size"],
                "size_px": config["tokenizer"]["size_px"],
                "parameters": sum(card["parameters"].values()),
            }
        )
    return {"worlds": worlds}


def _format(value: Any, indent: int = 0) -> str:
    """Format nested json values as indented lines."""
    pad = "  " * indent
    lines = []
    items = value.items() if isinstance(value, dict) else [("-", v) for v in value]
    for key, item in items:
        nested = isinstance(item, dict) or (isinstance(item, list) and any(isinstance(i, (dict, list)) for i in item))
        if nested and item:
            lines += [f"{pad}{key}", _format(item, indent + 1)]
        else:
            lines.append(f"{pad}{key:<14} {item if not isinstance(item, list) else ', '.join(map(str, item))}")
    return "\n".join(lines)


def _fail(error: Exception, arguments: argparse.Namespace) -> int:
    line = printable(" ".join(str(error).split()))
    if arguments.json:
        print(json.dumps({"error": type(error).__name__, "message": line}))
    print(f"worldling: {line}", file=sys.stderr)
    return 2
