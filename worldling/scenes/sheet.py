"""The scenes at a glance: what each is about, and a contact sheet of them."""

from __future__ import annotations

import inspect
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from worldling.config import write_atomic
from worldling.scenes.camera import Camera
from worldling.scenes.names import PREFIX
from worldling.scenes.scenarios import SCENES
from worldling.scenes.trial import FPS, Trial, TrialSeed

_SIDE_PX, _MOMENTS, _CAPTION_PX = 128, (0, 3, 5, 7, 10, 14, 18, 25), 16
_INK, _PAPER = (40, 40, 40), (250, 250, 250)


def scene_list() -> dict[str, str]:
    """Return what happens in every scene, by its Gymnasium id."""
    return {
        **{f"{PREFIX}{name.title()}-v0": inspect.cleandoc(scene.__doc__ or "") for name, scene in SCENES.items()},
        f"{PREFIX}Physics-v0": "Another one of the eight in each episode.",
    }


def write_sheet(out: str | Path, seed: int = 0, trials: int = 2) -> Path:
    """Draw a PNG of every scene at eight moments of `trials` trials each, nobody pushing; returns where it lies."""
    rows = [(name, number) for name in SCENES for number in range(trials)]
    tall = _SIDE_PX * 3 // 4 + _CAPTION_PX  # the sky above the tray is left away
    sheet = Image.new("RGB", (len(_MOMENTS) * _SIDE_PX, len(rows) * tall), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, (name, number) in enumerate(rows):
        trial = Trial(TrialSeed(name, seed + number, seed))
        camera = Camera(trial)
        try:
            for column, moment in enumerate(_MOMENTS):
                while trial.frame < moment:
                    trial.advance()
                picture = camera.frame(_SIDE_PX)[_SIDE_PX // 8 : -_SIDE_PX // 8]
                sheet.paste(
                    Image.fromarray(np.ascontiguousarray(picture)), (column * _SIDE_PX, row * tall + _CAPTION_PX)
                )
                touched = ", touched" if trial.touched else ""
                text = f"{name if column == 0 else ''} {moment / FPS:.2f} s{touched}"
                draw.text((column * _SIDE_PX + 4, row * tall + 2), text.strip(), _INK)
        finally:
            camera.close()
    data = io.BytesIO()
    sheet.save(data, "PNG")
    write_atomic(Path(out), data.getvalue())
    return Path(out)
