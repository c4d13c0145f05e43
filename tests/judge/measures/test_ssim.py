import numpy as np
import pytest

from worldling.judge.measures.ssim import ssim


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    left = rng.integers(0, 256, (5, 24, 24, 3), dtype=np.uint8)
    right = np.clip(left + rng.normal(0, 30, left.shape), 0, 255).astype(np.uint8)
    return left, right


def test_equal_frames_score_one(pictures):
    np.testing.assert_allclose(ssim(pictures[0], pictures[0]), 1.0, atol=1e-6)


def test_shapes_broadcast_like_a_still_frame_over_a_clip(pictures):
    left, right = pictures
    wide = ssim(np.stack([left, right]), right[:1][None])
    assert wide.shape == (2, 5), "the leading axes are kept"
    np.testing.assert_allclose(wide[0], ssim(left, np.repeat(right[:1], 5, axis=0)))


def ssim_by_definition(x, y):
    """Wang et al. 2004 of two pictures uint8 [H, W, 3], window by window."""
    views = [np.lib.stride_tricks.sliding_window_view(p.astype(float), (7, 7), (0, 1)).reshape(-1, 49) for p in (x, y)]
    indices = []
    for a, b in zip(*views, strict=True):
        cov = np.cov(a, b)
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        indices.append(
            (2 * a.mean() * b.mean() + c1)
            * (2 * cov[0, 1] + c2)
            / (a.mean() ** 2 + b.mean() ** 2 + c1)
            / (cov[0, 0] + cov[1, 1] + c2)
        )
    return np.mean(indices)


def test_ssim_equals_its_definition(pictures):
    left, right = pictures
    flat = np.full_like(left, 144)
    flat[2:, 5:8, 5:8] = 236
    for a, b in ((left, right), (flat, flat[::-1])):
        np.testing.assert_allclose(ssim(a, b), [ssim_by_definition(x, y) for x, y in zip(a, b, strict=True)], atol=1e-5)
