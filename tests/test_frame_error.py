"""PSNR and frame error are what their definitions say, and bounded by the rounding of uint8."""

import numpy as np
import pytest

from worldling.frame_error import PSNR_LIMIT_DB, frame_error, psnr, psnr_of


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    left = rng.integers(0, 256, (5, 24, 24, 3), dtype=np.uint8)
    return left, np.clip(left + rng.normal(0, 30, left.shape), 0, 255).astype(np.uint8)


def test_psnr_equals_the_definition(pictures):
    left, right = pictures
    mse = ((left.astype(float) - right) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(psnr(left, right), 10 * np.log10(255**2 / mse), rtol=1e-6)


def test_black_to_white_is_an_error_of_one_and_zero_decibels():
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert frame_error(black, white) == 1.0 and psnr(black, white) == 0.0
    assert psnr_of(0.01) == pytest.approx(20.0)


def test_equal_frames_score_the_rounding_limit(pictures):
    np.testing.assert_allclose(psnr(pictures[0], pictures[0]), PSNR_LIMIT_DB)
    assert psnr_of(0.0) == pytest.approx(PSNR_LIMIT_DB)


def test_shapes_broadcast_like_a_still_frame_over_a_clip(pictures):
    left, right = pictures
    wide = frame_error(np.stack([left, right]), right[:1][None])
    assert wide.shape == (2, 5) and wide.dtype == np.float64
    np.testing.assert_allclose(wide[0], frame_error(left, np.repeat(right[:1], 5, axis=0)))
