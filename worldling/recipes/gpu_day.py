"""What the first minutes on any CUDA machine must answer, in one command that needs no network.

    python -m worldling.recipes.gpu_day --minutes 9             # train pusht-25 and physics, then check and measure
    python -m worldling.recipes.gpu_day --minutes 3 --no-train  # only check and measure the bundled worlds
    python -m worldling.recipes.gpu_day --device cpu --tiny     # the same steps in five minutes without a GPU
    python -m worldling.recipes.gpu_day --list-needs            # the packages that must be there

Worlds named on the line are recorded on the spot with all cores, trained side by side until the deadline, judged on
held-out episodes, and packed as one file each. Then every bundled world is compared with the fp32 reference and
measured at several batch sizes, as long as time is left. All that comes back lies in `--out`: report.json, report.md
and at most seven other files of at most 16 MB. Run again with the same `--out` to go on where an interrupted run
stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worldling.config import replace, write_atomic
from worldling.errors import ConfigError, WorldlingError, nearest
from worldling.train.recipe import TrainConfig

NEEDS = (
    "gymnasium",
    "pymunk<7",
    "pygame",
    "gym-pusht",
    "shapely",
    "opencv-python-headless",
    "mujoco>=3.10,<3.12",
    "h5py",
)
POLICIES = "worldling.recipes.policies:"
HELD_OUT_SEED = 1_000_000
BATCHES = (1, 16, 64, 1024)
LARGEST_FILE = 16_000_000
LOOK_S = 5.0  # between two looks at the runs

#: A GPU sees whole frames, long clips and large batches; small cells, fine levels and a head that warps (docs/lab.md).
LARGE: dict[str, Any] = dict(
    size="s+", batch_frames=256, batch_clips=48, clip_frames=24, sparse_share=1.0,
    merge=2, levels=32, centered_scores=True, warp=True,
    minutes=8.0, tokenizer_share=0.1, rollout_from=0.4, rollout_frames=8, cutmix=0.5, ema=0.999,
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """One world: what is recorded and how it is trained. frames, held_out: to record for training and for judging."""

    env_id: str
    policy: str
    frames: int
    held_out: int
    config: TrainConfig


PLANS = {
    "pusht-25": Plan("worldling/PushT-v0", "pusht_free_hand", 150_000, 6_000, TrainConfig(mirror="x:0,y:1", **LARGE)),
    "physics": Plan("worldling/Physics-v0", "scene_hand", 150_000, 6_000, TrainConfig(mirror="x:0", **LARGE)),
}


def tiny(plan: Plan) -> Plan:
    """Return a plan that a CPU gets through in a minute or two: it shows that every step runs, not what comes of it."""
    config = replace(
        plan.config, size="xs", batch_frames=16, batch_clips=4, clip_frames=19, mirror="", minutes=0.5,
        tokenizer_share=0.3,        compile="off", grid=4,
    )  # fmt: skip
    return Plan(plan.env_id, plan.policy, 1500, 800, config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        "gpu_day", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("worlds", nargs="*", default=[], help=f"of {', '.join(PLANS)}; default: all")
    parser.add_argument("--minutes", type=float, default=9.0, help="wall-clock time in all (9)")
    parser.add_argument(
        "--bench-minutes", type=float, default=0.0, help="of these, kept for checks and speed (0: what is left)"
    )
    parser.add_argument("--out", default="gpu_day", help="folder for what comes back")
    parser.add_argument("--place", default="runs/gpu_day", help="folder for data and runs, which stay")
    parser.add_argument("--device", default="auto", help="auto, cuda or cpu")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="processes that record")
    parser.add_argument("--batches", default=",".join(map(str, BATCHES)), help="batch sizes to measure")
    parser.add_argument(
        "--bench", nargs="*", default=["pusht", "physics", "pusht-256", "carracing"], help="worlds to measure"
    )
    parser.add_argument("--no-train", action="store_true", help="only check and measure")
    parser.add_argument("--tiny", action="store_true", help="small networks, little data: for a machine without a GPU")
    parser.add_argument("--list-needs", action="store_true", help="print the packages that must be there, and stop")
    parser.add_argument(
        "--judge-seconds", type=float, default=45.0, help="kept for judging what was trained (45; 0: do not)"
    )
    parser.add_argument("--stage", nargs=2, metavar=("WORLD", "DEADLINE"), help=argparse.SUPPRESS)
    a = parser.parse_args(arguments)
    if a.list_needs:
        print("\n".join(NEEDS))
        return
    for name in a.worlds:
        if name not in PLANS:
            raise SystemExit(str(ConfigError(f"`worlds` must be of gpu_day, got {name!r}. {nearest(name, PLANS)}")))
    if a.stage:
        train_and_judge(a.stage[0], float(a.stage[1]), a)
        return
    out, place = Path(a.out), Path(a.place)
    out.mkdir(parents=True, exist_ok=True)
    place.mkdir(parents=True, exist_ok=True)
    deadline = time.time() + 60 * a.minutes
    report = read_report(out)
    report["machine"] = describe_machine(a.device)
    try:
        if not a.no_train:
            report["worlds"] = make_worlds(
                a, list(a.worlds) or list(PLANS), out, place, deadline - 60 * a.bench_minutes
            )
        trained = [str(place / name) for name in (a.worlds or PLANS) if (place / name / "config.json").exists()]
        report["bench"] = measure([*trained, *a.bench], a, deadline)
    finally:
        write_report(out, report)
    print((out / "report.md").read_text())


def make_worlds(a: argparse.Namespace, names: list[str], out: Path, place: Path, deadline: float) -> dict[str, Any]:
    """Record one world after the other with all cores, train each as soon as its data are there, and pack them."""
    from worldling.data.record import record

    running: dict[str, subprocess.Popen[bytes]] = {}
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        plan = tiny(PLANS[name]) if a.tiny else PLANS[name]
        began = time.time()
        try:
            for path, frames, seed in (
                (f"{name}-data", plan.frames, 0),
                (f"{name}-test", plan.held_out, HELD_OUT_SEED),
            ):
                record(
                    plan.env_id, place / path, frames, POLICIES + plan.policy, workers=a.workers, seed=seed,
                    resume=(place / path).exists(), quiet=True,
                )  # fmt: skip
        except WorldlingError as error:  # the others need not suffer from a simulator that is not there
            rows[name] = {"failed": str(error)}
            print(f"{name}: {error}", flush=True)
            continue
        rows[name] = {"record_s": round(time.time() - began, 1), "frames": plan.frames}
        command = [sys.executable, "-m", "worldling.recipes.gpu_day", "--stage", name, str(deadline)]
        command += ["--place", str(place), "--out", str(out), "--device", a.device]
        command += ["--judge-seconds", str(a.judge_seconds)]
        command += ["--tiny"] if a.tiny else []
        with open(out / f"{name}.log", "ab") as log:
            running[name] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        print(f"{name}: recorded {plan.frames} frames in {rows[name]['record_s']} s, training", flush=True)
    while time.time() < deadline + LOOK_S and any(process.poll() is None for process in running.values()):
        time.sleep(LOOK_S)
        failed = [name for name, process in running.items() if process.poll()]
        if failed and not (place / failed[0] / "gpu_day.json").exists():
            for process in running.values():
                process.kill()
            raise SystemExit(f"training {failed[0]} failed:\n" + (out / f"{failed[0]}.log").read_text()[-4000:])
    for name, process in running.items():
        process.kill()
        rows[name]["exit_code"] = process.wait()  # -9: judging was not done by the deadline
        result = place / name / "gpu_day.json"
        rows[name] |= json.loads(result.read_text()) if result.exists() else {}
    return rows


def train_and_judge(name: str, deadline: float, a: argparse.Namespace) -> None:
    """Train one world until shortly before the deadline, pack it and judge it; writes gpu_day.json into its folder."""
    from worldling.backends.load import load
    from worldling.judge.judgement import judge
    from worldling.train.train import train

    plan, place = tiny(PLANS[name]) if a.tiny else PLANS[name], Path(a.place)
    began = time.time()
    world = train(place / f"{name}-data", place / name, plan.config, a.device, deadline=deadline - a.judge_seconds)
    row = {"train_s": round(time.time() - began, 1), "cost": world.card["cost"], "quality": world.card["quality"]}
    row["packed"] = pack(place / name, Path(a.out) / f"{name}.tar")
    write_atomic(place / name / "gpu_day.json", json.dumps(row, indent=2))
    if not a.judge_seconds:
        return
    began = time.time()
    report = judge(
        load(place / name, "reference", a.device), place / f"{name}-test", place / name / "judge", ("fidelity",),
        quiet=True, starts=16 if a.tiny else 200, horizons=(1, 5, 10, 25),
    )  # fmt: skip
    row |= {"judge_s": round(time.time() - began, 1), "fidelity": report["suites"]["fidelity"]}
    write_atomic(place / name / "gpu_day.json", json.dumps(row, indent=2))


def pack(world: Path, file: Path) -> str:
    """Write the files of a world, with its curves and strip, into one tar file; returns a phrase on its size."""
    with tarfile.open(file, "w") as tar:
        for part in ("config.json", "card.json", "weights.safetensors", "mean.png", "contexts"):
            tar.add(world / part, f"{world.name}/{part}")
        for part in ("metrics.jsonl", "curves.png", "strip.png", "train.json"):
            if (world / "train" / part).exists():
                tar.add(world / "train" / part, f"{world.name}/train/{part}")
    size = file.stat().st_size
    return f"{size / 1e6:.1f} MB" + (", larger than may come back" if size > LARGEST_FILE else "")


def measure(names: list[str], a: argparse.Namespace, deadline: float) -> list[dict[str, Any]]:
    """Compare each world's backends with the reference and time them, while time is left.

    One batch size comes after the other.
    """
    from worldling.backends.bench import bench, table
    from worldling.machine import find_device
    from worldling.world_files import load_world

    rows: list[dict[str, Any]] = []
    for batch in [int(b) for b in a.batches.split(",")]:
        for name in names:
            began = time.time()
            if began + 20 > deadline:
                rows.append({"world": name, "batch": batch, "skipped": "no time left"})
                continue
            world = load_world(name, find_device(a.device))
            few = 16 if a.tiny or batch > 1 else 256  # frames compared with the reference's
            result = bench(world, batches=(batch,), seconds=2.0, latents=False, steps=few, starts=1)
            rows += [
                {"world": world.config.name, "took_s": round(time.time() - began, 1), **row} for row in result["rows"]
            ]
            print(f"{name}\n{table(result)}", flush=True)
    return rows


def describe_machine(device: str) -> dict[str, Any]:
    """Return what the figures were measured on: json values."""
    import torch

    from worldling.backends.bench import commit, versions
    from worldling.machine import cpu_name, find_device

    where = find_device(device)
    gpu = torch.cuda.get_device_properties(where) if where.type == "cuda" else None
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "gpu": gpu and f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB",
        "cuda": torch.version.cuda if gpu else None,
        "versions": versions(),
        "commit": commit(),
    }


def read_report(out: Path) -> dict[str, Any]:
    """Return what an earlier run with this `out` reported, if any."""
    file = out / "report.json"
    return json.loads(file.read_text()) if file.exists() else {}


def write_report(out: Path, report: dict[str, Any]) -> None:
    """Write report.json, and report.md for people."""
    write_atomic(out / "report.json", json.dumps(report, indent=2, default=str) + "\n")
    machine = report["machine"]
    lines = [f"# {machine['gpu'] or machine['cpu']}", "", f"{machine['cores']} cores, {machine['versions']}", ""]
    for name, row in report.get("worlds", {}).items():
        lines += [f"- {name}: " + ", ".join(f"{k} {v}" for k, v in row.items() if k != "fidelity")]
    lines += [
        "",
        "| world | backend | kind | batch | frames/s | p50 / p99 ms | x reference | err |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in report.get("bench", []):
        if "skipped" in row:
            lines.append(f"| {row['world']} | | | {row['batch']} | {row['skipped']} | | | |")
            continue
        lines.append(
            f"| {row['world']} | {row['backend']} | {row['kind']} | {row['batch']} | {row['fps_p50']:,.0f} | "
            f"{row['p50_ms']:.2f} / {row['p99_ms']:.2f} | {row['ratio_to_reference']:.1f} | {row['err']:.1e} |"
        )
    write_atomic(out / "report.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
