"""Fidelity of pictures that are not square: padding counts in no figure, and other pictures do not fit."""

import json

import numpy as np
import pytest
from judge_worlds import SIZE, CopyWorld, write_squares

from worldling.data.store import open_dataset
from worldling.errors import JudgeError
from worldling.frame_error import psnr
from worldling.judge.judgement import judge

PLACE = [0, SIZE // 4, SIZE, SIZE // 2]


@pytest.fixture
def padded(tmp_path):
    """Squares, of which only the middle rows are said to be the picture."""
    write_squares(tmp_path).close()
    file = tmp_path / "dataset.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "fit": "pad", "picture_px": PLACE, "aspect": 2.0}))
    return open_dataset(tmp_path)


def test_padding_counts_in_no_error(padded):
    settings = {"starts": 500, "horizons": (1,), "quiet": True}
    found = judge(CopyWorld(padded), padded.path, suites=("fidelity",), **settings)
    frames = [padded.frames(i) for i in range(len(padded))]
    rows = slice(PLACE[1], PLACE[1] + PLACE[3])
    part = np.concatenate([psnr(f[3:, rows], f[2:-1, rows]) for f in frames])
    whole = np.concatenate([psnr(f[3:], f[2:-1]) for f in frames])
    got = found["suites"]["fidelity"]["psnr_db"]["world"]["1"]["value"]
    assert abs(got - part.mean()) < 0.01 and abs(got - whole.mean()) > 0.1  # of every start that there is


def test_data_whose_pictures_lie_elsewhere_do_not_fit(padded):
    world = CopyWorld(padded, picture_px=[SIZE // 4, 0, SIZE // 2, SIZE], aspect=0.5)
    with pytest.raises(JudgeError, match=rf"{SIZE // 2}x{SIZE} of a true 0\.5 to 1, got {SIZE}x{SIZE // 2}.*--fit pad"):
        judge(world, padded.path, suites=("fidelity",), quiet=True)
