"""What people look at while a world trains: curves and a film strip, truth over dream."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from worldling.config import write_atomic


def draw_strip(truth: np.ndarray, dream: np.ndarray, path: Path, columns: int = 10) -> None:
    """Draw `columns` frames of truth `[T, H, W, 3]` over the same frames of the dream."""
    pick = np.unique(np.linspace(0, len(truth) - 1, columns).round().astype(int))
    rows = [np.concatenate([clip[i] for i in pick], 1) for clip in (truth, dream)]
    gap = np.full((4, rows[0].shape[1], 3), 255, np.uint8)
    picture = Image.fromarray(np.concatenate([rows[0], gap, rows[1]]))
    if truth.shape[1] < 128:
        picture = picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST)
    _write(picture, path)


def draw_curves(metrics: Path, path: Path) -> None:
    """Draw every metric of metrics.jsonl against minutes, one panel per stage and kind."""
    from matplotlib.figure import Figure

    rows = _rows(metrics)
    panels = [
        ("tokenizer", "loss", "log"),
        ("tokenizer", "psnr_db", "linear"),
        ("dynamics", "nats_per_frame", "log"),
        ("dynamics", "psnr_h", "linear"),
    ]
    figure = Figure(figsize=(11, 6), layout="constrained")
    for axis, (stage, name, scale) in zip(figure.subplots(2, 2).flat, panels, strict=False):
        keys = sorted({k for row in rows if row["stage"] == stage for k in row if k.startswith(name)})
        for key in keys:
            points = [(row["seconds"] / 60, row[key]) for row in rows if row["stage"] == stage and key in row]
            axis.plot(*zip(*points, strict=False), label=key, lw=1.2)
        axis.set(title=stage, xlabel="minutes", ylabel=name.rstrip("_h"), yscale=scale)
        axis.grid(alpha=0.25)
        if keys:
            axis.legend(frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    write_atomic(path, buffer.getvalue())


def _rows(metrics: Path) -> list[dict[str, Any]]:
    """Read metrics.jsonl; a line that a full disk cut off is left out."""
    rows = []
    for line in metrics.read_text().splitlines():
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def _write(picture: Image.Image, path: Path) -> None:
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    write_atomic(path, buffer.getvalue())
