"""How the worlds of this project were made: record, record held-out data, train, judge.

    python -m worldling.recipes.worlds pusht       # writes data/pusht, data/pusht-test and worlds/pusht

One function per world. Everything is resumable: run the same line again after an interruption.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from worldling.backends.load import load
from worldling.data.record import record
from worldling.errors import ConfigError, nearest
from worldling.judge.judgement import DEFAULT_SUITES, judge
from worldling.train.recipe import TrainConfig
from worldling.train.train import train

POLICIES = "worldling.recipes.policies:"
STEERING = POLICIES + "steering_hand"
CHAOS = (*DEFAULT_SUITES, "chaos")
HELD_OUT_SEED = 1_000_000  # far from the training seeds, which count up from 0
# How worlds were trained whose numbers are older than what training does now.
BEFORE_SURPRISE: dict[str, Any] = {"prioritized": False, "weight_decay": 0.01}
BEFORE_CUTMIX: dict[str, Any] = {**BEFORE_SURPRISE, "rollout_frames": 8, "cutmix": 0.0, "clip_frames": 18}
# Small cells, small steps, and every step sees all: where things move freely (docs/decisions.md).
FINE: dict[str, Any] = {"merge": 2, "levels": 32, "centered_scores": True, "sparse_share": 1.0}
# Cheap steps first, dear ones after, and what moves is carried along.
WARPED: dict[str, Any] = {"warp": True, "sparse_share": 0.25, "dense_from": 0.6}
GENTLE: dict[str, Any] = {**FINE, "rollout_from": 0.75, "rollout_frames": 2, "cutmix": 0.0}


def pusht() -> None:
    """Push-T at 64 px, 25 steps a second, as hands play it: 120 000 frames, 110 minutes on 2 cores.

    The bundled world's finder is of a run on other 60 000 frames; how well points follow the agent is chance.
    """
    config = TrainConfig(
        minutes=110, tokenizer_share=0.135, keypoint_share=0.36, mirror="x:0,y:1", keypoints=14, keypoint_groups=4,
        rollout_frames=6, cutmix=0.5, **{**FINE, "sparse_share": 0.25, "dense_from": 0.6},
    )  # fmt: skip
    make("pusht", "worldling/PushT-v0", POLICIES + "pusht_free_hand", 120_000, 12_000, config)


def pusht_quick() -> None:
    """Push-T at 64 px, 10 steps a second: 50 000 frames, 42 minutes on 2 cores. Not bundled: a quick start."""
    config = TrainConfig(
        minutes=42, mirror="x:0,y:1,d:0=1", clip_frames=18, **BEFORE_SURPRISE
    )  # a mirrored board obeys the same laws
    make("pusht-quick", "gym_pusht/PushT-v0", POLICIES + "pusht_pusher", 50_000, 6_000, config)


def pusht_256() -> None:
    """Push-T at 256 px, 25 steps a second, with the keypoints of `pusht`: 60 000 frames, 112 minutes on 2 cores."""
    config = TrainConfig(
        minutes=112, tokenizer_share=0.16, mirror="x:0", keypoints_from="pusht", rollout_frames=6, cutmix=0.5,
        grid=8, **{**FINE, "sparse_share": 0.25, "dense_from": 0.6},
    )  # fmt: skip
    make("pusht-256", "worldling/PushT-v0", POLICIES + "pusht_free_hand", 60_000, 12_000, config, size_px=256)


def pusht_256_fine() -> None:
    """Push-T at 256 px with 256 tokens a frame, for the ladder: 24 000 frames, 20 minutes. Not bundled."""
    config = TrainConfig(
        minutes=20, tokenizer_from="pusht-256", keypoints_from="pusht-256", rollout_frames=6, cutmix=0.5, grid=16,
        compile="off", dense_every=20, **{**FINE, "merge": 1, "sparse_share": 0.125, "dense_from": 0.93},
    )  # fmt: skip
    make("pusht-256-fine", "worldling/PushT-v0", POLICIES + "pusht_free_hand", 24_000, 6_000, config, size_px=256)


def pusht_512() -> None:
    """Push-T at 512 px: `pusht-256` with a decoder for larger pictures, 10 000 frames, 25 minutes. Not bundled."""
    config = TrainConfig(minutes=25, mirror="x:0", batch_frames=8, enlarges="pusht-256")
    make("pusht-512", "worldling/PushT-v0", POLICIES + "pusht_free_hand", 10_000, 2_000, config, size_px=512)


def carracing() -> None:
    """CarRacing at 64 px, 17 frames a second: 30 000 frames, 30 minutes on 2 cores."""
    config = TrainConfig(minutes=30, mirror="x:0", **BEFORE_CUTMIX)  # steering is action 0
    make("carracing", "CarRacing-v3", POLICIES + "carracing_driver", 30_000, 5_000, config, frame_skip=3)


def pong() -> None:
    """Pong at 64 px: 20 000 frames, 30 minutes on 2 cores. Not bundled: its ROM is not ours."""
    still = {"repeat_action_probability": 0.0}
    up_and_down = "y:2=3+4=5"  # trade places, with fire or without
    config = TrainConfig(minutes=30, jitter=0.1, mirror=up_and_down, **BEFORE_CUTMIX)
    make("pong", "ALE/Pong-v5", POLICIES + "pong_follower", 20_000, 12_000, config, env_kwargs=still)


def physics() -> None:
    """The eight physics scenes at 64 px, 12.5 frames a second: 120 000 frames, 90 minutes on 2 cores."""
    config = TrainConfig(
        minutes=90, tokenizer_share=0.125, mirror="x:0", **{**GENTLE, **WARPED}
    )  # a push to the right is action 0
    make("physics", "worldling/Physics-v0", POLICIES + "scene_hand", 120_000, 8_000, config, suites=("all",))


def cloth() -> None:
    """The steered cloth at 64 px: 40 000 frames, 33 minutes on 2 cores."""
    config = TrainConfig(minutes=33, tokenizer_share=0.24, mirror="x:0", **GENTLE)
    make("cloth", "worldling/Cloth-v0", STEERING, 40_000, 5_000, config, suites=CHAOS)


def lorenz() -> None:
    """Lorenz's ball at 64 px: 40 000 frames, 60 minutes on 2 cores."""
    config = TrainConfig(minutes=60, tokenizer_share=0.25, **{**GENTLE, **WARPED})
    make("lorenz", "worldling/Lorenz-v0", STEERING, 40_000, 5_000, config, suites=CHAOS)


def smoke() -> None:
    """The steered smoke at 64 px: 12 000 frames, which take PhiFlow an hour, and 40 minutes on 2 cores."""
    make("smoke", "worldling/Smoke-v0", STEERING, 12_000, 2_000, TrainConfig(minutes=40), suites=CHAOS)


def make(
    name: str,
    env_id: str,
    policy: str,
    frames: int,
    held_out: int,
    config: TrainConfig,
    size_px: int = 64,
    frame_skip: int | None = None,
    env_kwargs: dict[str, Any] | None = None,
    suites: Sequence[str] = DEFAULT_SUITES,
) -> None:
    """Record, train and judge one world below the current folder."""
    data, test, out = Path("data") / name, Path("data") / f"{name}-test", Path("worlds") / name
    for path, count, seed in ((data, frames, 0), (test, held_out, HELD_OUT_SEED)):
        record(
            env_id,
            path,
            count,
            policy,
            size_px,
            frame_skip,
            workers=2,
            seed=seed,
            env_kwargs=env_kwargs,
            resume=path.exists(),
            fit="squeeze",  # as the bundled worlds' data were
        )
    train(data, out, config)
    judge(load(out), test, out / "judge", suites)


RECIPES: dict[str, Callable[[], None]] = {
    recipe.__name__.replace("_", "-"): recipe
    for recipe in (
        pusht,
        pusht_quick,
        pusht_256,
        pusht_256_fine,
        pusht_512,
        carracing,
        pong,
        physics,
        cloth,
        lorenz,
        smoke,
    )
}


if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) == 2 else ""
    if wanted not in RECIPES:
        raise SystemExit(str(ConfigError(f"`recipe` must be a world, got {wanted!r}. {nearest(wanted, RECIPES)}")))
    RECIPES[wanted]()
