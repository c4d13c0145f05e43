"""Look at a data set: its numbers, and a contact sheet of its pictures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from worldling.config import write_atomic
from worldling.data.dataset import Dataset
from worldling.data.environment import shrink
from worldling.data.store import open_dataset
from worldling.errors import ActionError, DatasetError
from worldling.types import ActionSpace

CLIP_FRAMES = 20
_LABEL_PX = 92
_HEADER_PX = 36
_CAPTION_PX = 12
_INK, _PAPER = (40, 40, 40), (250, 250, 250)


def dataset_info(path: str | Path) -> dict[str, Any]:
    """Describe the data set folder `path` in json values; reads all columns but the pixels.

    Keys: env_id, frames, episodes, cut_episodes (pieces whose environment had not ended), shortest,
    longest, short_episodes (of fewer than 20 frames: a clip of the training's default), minutes (real time), size_px,
    fit and picture_px (left, top, width, height), fps, frame_skip, bytes (on disk), shards, policy, seed, license,
    actions (kind, and per choice its share or per axis its mean, std, min and max), reward (sum, min, max and
    nonzero of those that are numbers; not_finite: of the others), terminated, truncated,
    state (column: shape of one row), versions.
    Raises `DatasetError`, for actions that are not those of dataset.json too.
    """
    dataset = open_dataset(path)
    meta = dataset.meta
    columns = {
        name: np.concatenate([dataset.column(name, i) for i in range(len(dataset))])
        for name in ("action", "reward", "terminated", "truncated")
    }
    try:
        meta.action_space.check(columns["action"], lead=(len(columns["action"]),))
    except ActionError as error:
        raise DatasetError(
            f"`{path}` must hold actions as its dataset.json says, got others: its environment changed while it was "
            f"recorded ({error}). Record it again."
        ) from None
    reward = columns["reward"][np.isfinite(columns["reward"])]
    info = {
        "path": str(path),
        "env_id": meta.env_id,
        "frames": dataset.num_frames,
        "episodes": len(dataset),
        "cut_episodes": sum(dataset.episode_meta(i)["cut"] for i in range(len(dataset))),
        "shortest": min(dataset.lengths),
        "longest": max(dataset.lengths),
        "short_episodes": sum(length < CLIP_FRAMES for length in dataset.lengths),
        "minutes": round(dataset.num_frames / meta.fps / 60, 2),
        "size_px": meta.size_px,
        "fit": meta.fit,
        "picture_px": list(meta.picture_px) or [0, 0, meta.size_px, meta.size_px],
        "fps": meta.fps,
        "frame_skip": meta.frame_skip,
        "bytes": sum(shard.stat().st_size for shard in dataset.shards),
        "shards": len(dataset.shards),
        "policy": meta.policy,
        "seed": meta.seed,
        "license": meta.license,
        "actions": _action_statistics(meta.action_space, columns["action"]),
        "reward": {
            "sum": float(reward.sum(dtype=np.float64)),
            "min": float(reward.min()) if reward.size else None,
            "max": float(reward.max()) if reward.size else None,
            "nonzero": int(np.count_nonzero(reward)),
            "not_finite": len(columns["reward"]) - len(reward),
        },
        "terminated": int(columns["terminated"].sum()),
        "truncated": int(columns["truncated"].sum()),
        "state": {name: list(dataset.column(f"state/{name}", 0).shape[1:]) for name in dataset.state_names},
        "versions": dict(meta.versions),
    }
    dataset.close()
    return info


def write_contact_sheet(path: str | Path, out: str | Path | None = None, rows: int = 8, columns: int = 12) -> Path:
    """Draw a PNG of the data set folder `path` and return where it lies (default: contact_sheet.png in it).

    The upper rows show episodes spread over the data, each from its first to its last frame; the last
    two show consecutive frames, and under each the action taken after seeing it.
    """
    dataset = open_dataset(path)
    image = contact_sheet(dataset, rows, columns)
    dataset.close()
    out = Path(out) if out is not None else Path(path) / "contact_sheet.png"
    data = io.BytesIO()
    image.save(data, "PNG")
    write_atomic(out, data.getvalue())
    return out


def contact_sheet(dataset: Dataset, rows: int = 8, columns: int = 12) -> Image.Image:
    """Draw the contact sheet that `write_contact_sheet` saves."""
    meta = dataset.meta
    side = meta.size_px * max(1, 96 // meta.size_px) if meta.size_px < 128 else 128
    rows = min(rows, len(dataset))
    shown = sorted({round(i) for i in np.linspace(0, len(dataset) - 1, rows)})
    longest = int(np.argmax(dataset.lengths))
    height = _HEADER_PX + (len(shown) + 2) * (side + _CAPTION_PX)
    sheet = Image.new("RGB", (_LABEL_PX + columns * side, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    amount = f"{dataset.num_frames} frames, {len(dataset)} episodes, {meta.fps:g} fps"
    draw.text((6, 4), f"{meta.env_id}   {amount}", _INK)
    draw.text((6, 18), f"{meta.size_px} px, skip {meta.frame_skip}, {meta.policy}, seed {meta.seed}", _INK)
    top = _HEADER_PX
    for episode in shown:
        length = dataset.lengths[episode]
        at = np.linspace(0, length - 1, columns).round().astype(int)
        frames = [dataset.frames(episode, t, t + 1)[0] for t in at]
        _strip(sheet, top, side, f"episode {episode}\n{length} frames", frames, [str(t) for t in at])
        top += side + _CAPTION_PX
    length = dataset.lengths[longest]
    start = max(0, length // 2 - columns)
    for begin in (start, start + columns):
        frames = list(dataset.frames(longest, begin, begin + columns))
        actions = dataset.actions(longest, begin, begin + columns)
        captions = [_caption(meta.action_space, action) for action in actions]
        _strip(sheet, top, side, f"episode {longest}\nframe {begin} on\nwith actions", frames, captions)
        top += side + _CAPTION_PX
    return sheet


def _strip(sheet: Image.Image, top: int, side: int, label: str, frames: list[np.ndarray], captions: list[str]) -> None:
    draw = ImageDraw.Draw(sheet)
    draw.multiline_text((6, top + 4), label, _INK)
    for column, frame in enumerate(frames):
        left = _LABEL_PX + column * side
        enlarge = side // frame.shape[0]
        picture = frame.repeat(enlarge, 0).repeat(enlarge, 1) if enlarge > 1 else shrink(frame, side)
        sheet.paste(Image.fromarray(picture), (left, top))
        draw.line((left, top, left, top + side - 1), _PAPER)
        if column < len(captions):
            draw.text((left + 2, top + side), captions[column][: side // 6], _INK)


def _names(space: ActionSpace) -> tuple[str, ...]:
    """Return one name per choice, switch or axis, each another; numbers where the space does not name them all."""
    count = space.nvec[0] if space.kind == "discrete" else space.shape[0]
    names = space.names if len(space.names) == count else tuple(map(str, range(count)))
    return tuple(name if names.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(names))


def _caption(space: ActionSpace, action: np.ndarray) -> str:
    if space.kind == "discrete":
        return _names(space)[int(action)]
    if space.kind == "box":
        return " ".join(f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}" for value in action)
    return " ".join(str(value) for value in action)


def _action_statistics(space: ActionSpace, actions: np.ndarray) -> dict[str, Any]:
    if space.kind == "none":
        return {"kind": "none"}
    names = _names(space)
    if space.kind == "box":
        return {
            "kind": "box",
            "axes": {
                name: {key: round(float(getattr(values, key)()), 4) for key in ("mean", "std", "min", "max")}
                for name, values in zip(names, actions.T, strict=True)
            },
        }
    if space.kind == "discrete":
        shares = np.bincount(actions, minlength=space.nvec[0]) / len(actions)
        return {"kind": "discrete", "share": dict(zip(names, shares.round(4).tolist(), strict=True))}
    return {
        "kind": space.kind,
        "share": {
            name: (np.bincount(values, minlength=n) / len(values)).round(4).tolist()
            for name, values, n in zip(names, actions.T, space.nvec, strict=True)
        },
    }
