"""The commands `worldling judge`, `worldling bench` and `worldling cost`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worldling.cli.options import BACKENDS, count, open_worlds, parse_ints, parse_numbers, reject_options
from worldling.data.hands import KEYS, POINTER, STICKS, TURNING
from worldling.errors import ConfigError
from worldling.judge.registry import SUITES, suites_that_need

Command = Callable[..., argparse.ArgumentParser]


def add_judge(command: Command) -> None:
    """Add `worldling judge`."""
    p = command("judge", _judge, "measure a world, or compare several; writes report.html and report.json")
    p.add_argument(
        "world",
        nargs="+",
        help="folder of a world, name of a bundled one, or file.py:callable that returns a WorldModel",
    )
    p.add_argument(
        "--data", help=f"a data set the world has not seen; {' and '.join(suites_that_need('data'))} need one"
    )
    p.add_argument(
        "--world-arg", action="append", default=[], metavar="NAME=VALUE", help="argument of the callable; repeatable"
    )
    p.add_argument(
        "--out", help="folder of the report (default: judge/ in the world's folder; for several worlds judge/ here)"
    )
    p.add_argument(
        "--suite",
        action="append",
        help=f"{', '.join(SUITES)}, or all that can be run on this world; repeatable (default: all)",
    )
    p.add_argument("--starts", type=count, default=500, help="points in the data to roll out from")
    p.add_argument(
        "--horizons", help="frames ahead, with commas (default: 1,5,10,25,50, as far as half the episodes reach)"
    )
    p.add_argument("--rollouts", type=int, default=16, help="number of long roll-outs")
    p.add_argument("--lengths", default="1000,10000", help="lengths of the long roll-outs in frames, with commas")
    p.add_argument("--exam", default="data/physics-exam", help="folder of the physics test set, made if it is missing")
    p.add_argument("--trials", type=count, default=400, help="test trials of each physics scene")
    p.add_argument("--scene", action="append", default=[], help="only this physics scene; repeatable")
    p.add_argument("--physion", help="a data set imported with --format physion; the suite physion needs one")
    p.add_argument(
        "--chaos", default="data/chaos", help="folder of the test clips of chaotic environments, made if it is missing"
    )
    p.add_argument("--players", type=count, default=64, help="scripted players of the suite play")
    p.add_argument(
        "--seconds", default="1,2,5,10,20", help="seconds of play at which the suite play looks, with commas"
    )
    p.add_argument(
        "--hand",
        action="append",
        default=[],
        help=f"only this kind of scripted player: {', '.join(POINTER)} of a pointer, {', '.join(KEYS)} of keys, "
        f"{', '.join(TURNING)} of keys that turn, {', '.join(STICKS)} of a stick; repeatable",
    )
    p.add_argument("--seed", type=int, default=0, help="of everything drawn at random")
    p.add_argument("--backend", default="auto", help=BACKENDS)


def add_cost(command: Command) -> None:
    """Add `worldling cost`."""
    p = command("cost", _cost, "report what training and serving a world cost, or plan hardware for a target")
    p.add_argument("world", nargs="?", help="folder of a world, or name of a bundled one; none with --plan")
    p.add_argument("--prices", help="price file (default: the bundled one; copy it to change prices)")
    p.add_argument("--users", type=count, help="number of simultaneous users (default: 1)")
    p.add_argument(
        "--fps", type=float, help="frames per second of a session (default: the world's; needed with --plan)"
    )
    p.add_argument(
        "--occupancy", type=float, help="share of the month in which each user plays (default: 0.1, assumed)"
    )
    p.add_argument("--device-class", help="device class of the price file (default: by the name of this chip)")
    p.add_argument("--report", help="report.json of `judge --suite speed`, used instead of timing the world here")
    p.add_argument("--batch", type=int, help="sessions in the timed batch (default: 16)")
    p.add_argument("--seconds", type=float, help="seconds of timing, for one session and for a batch (default: 2)")
    p.add_argument("--backend", help=BACKENDS + " (default: auto)")
    p.add_argument(
        "--plan",
        action="store_true",
        help="say which device class serves --users at --fps, its price, and which parts may run on separate machines",
    )
    p.add_argument("--size-px", type=int, help="with --plan: side of the frames (default: 64)")
    p.add_argument("--size", help="with --plan: xs, s, s+, m, l or g (default: one measured at that resolution)")
    p.add_argument("--train-frames", type=count, help="with --plan: frames to train on")


def _judge(a: argparse.Namespace) -> dict[str, Any]:
    from worldling.judge.judgement import headlines, judge
    from worldling.judge.side_by_side import judge_side_by_side

    worlds = open_worlds(a.world, a.world_arg, a.backend, quiet=a.json)
    single = len(worlds) == 1
    out = Path(a.out) if a.out else (worlds[0].path if single and worlds[0].path else Path(".")) / "judge"
    if not a.out and out.is_symlink():
        raise ConfigError(f"`--out` must be given where {out} is a link, got none. The folder's maker chose where to.")
    settings = {name: getattr(a, name) for name in ("starts", "seed", "rollouts", "exam", "trials", "physion", "chaos")}
    settings |= {"lengths": parse_ints(a.lengths, "lengths"), "scenes": a.scene, "hands": a.hand}
    settings |= {"players": a.players, "seconds": parse_numbers(a.seconds, "seconds")}
    if a.horizons is not None:
        settings["horizons"] = parse_ints(a.horizons, "horizons")
    suites = a.suite or ("all",)
    if single:
        report = judge(worlds[0], a.data, out, suites, a.json, **settings)
    else:
        report = judge_side_by_side(worlds, a.data, out, suites, a.json, **settings)
    if a.json:
        return report
    print(f"wrote {out / 'report.html'} and report.json", file=sys.stderr)
    return headlines(report) if single else {name: headlines(one) for name, one in report["worlds"].items()}


def _cost(a: argparse.Namespace) -> dict[str, Any] | None:
    from worldling.cost.prices import read_prices
    from worldling.cost.tables import ledger_text, plan_text
    from worldling.report.values import to_json

    timed, planned = ("batch", "seconds", "backend"), ("size_px", "size", "train_frames")
    if a.plan:
        reject_options(a, ("world", "occupancy", "device_class", "report", *timed), "with --plan")
    else:
        reject_options(a, planned, "without --plan")
        reject_options(a, timed if a.report else (), "with --report")
    needed = "fps" if a.plan else "world"
    if getattr(a, needed) is None:
        example = "--plan --fps 30 --users 100" if a.plan else "pusht"
        raise ConfigError(f"`{needed}` must be given, got none. Write for example worldling cost {example}.")
    prices = read_prices(a.prices)
    found: dict[str, Any]
    if a.plan:
        from worldling.cost.plan import plan

        users, size_px = 1 if a.users is None else a.users, 64 if a.size_px is None else a.size_px
        planned_for = plan(prices, a.fps, users, size_px, a.train_frames, a.size)
        found, text = to_json(planned_for), plan_text(planned_for)
    else:
        from worldling.backends.load import load
        from worldling.cost.ledger import world_cost
        from worldling.timing.steps import BATCHES

        world = load(a.world, backend="reference" if a.report else a.backend or "auto", quiet=a.json or bool(a.report))
        batch = BATCHES[-1] if a.batch is None else a.batch
        ledger = world_cost(
            world, prices, a.device_class, a.report, a.users, a.occupancy, a.fps, batch, a.seconds, a.json
        )
        found, text = to_json(ledger), ledger_text(ledger)
    if a.json:
        return found
    print(text, file=a.answers)
    return None


def add_bench(command: Command) -> None:
    """Add `worldling bench`."""
    p = command("bench", _bench, "measure speed, memory and error of every backend against the fp32 reference")
    p.add_argument("world", help="folder of a world, or name of a bundled one")
    p.add_argument("--backend", action="append", help=BACKENDS + "; repeatable (default: all that are installed)")
    p.add_argument("--batches", default="1,8", help="batch sizes, with commas")
    p.add_argument("--seconds", type=float, default=6.0, help="seconds of timing per backend and batch size")
    p.add_argument("--steps", type=int, default=256, help="length of the roll-outs that measure the error")
    p.add_argument(
        "--hold", type=count, default=1, metavar="FRAMES",
        help="keep each action for so many frames: with 50 a scene comes to rest, as --backend NAME+delta=0.02 likes",
    )  # fmt: skip
    p.add_argument(
        "--latents",
        action="store_true",
        help="also time the largest batch without decoding, as planners and agents run",
    )


def _bench(a: argparse.Namespace) -> dict[str, Any] | None:
    from worldling.backends.bench import bench, table
    from worldling.backends.load import load

    world = load(a.world, backend="reference", quiet=True)
    report = bench(
        world, a.backend, parse_ints(a.batches, "batches"), a.seconds, a.latents,
        steps=a.steps, quiet=a.json, hold=a.hold,
    )  # fmt: skip
    if a.json:
        return report
    print(table(report), file=a.answers)
    return None
