import numpy as np
import pytest

from worldling.judge.measures.motion_mask import motion_masks, spatial_iou, spatiotemporal_iou


def film(start, speed, frames=9, top=12):
    """A white square on black that goes right; uint8 [1, frames, 32, 32, 3]."""
    film = np.zeros((1, frames, 32, 32, 3), np.uint8)
    for t in range(frames):
        film[0, t, top : top + 8, start + speed * t : start + speed * t + 8] = 255
    return film


def test_what_moves_is_masked_and_nothing_else():
    masks = motion_masks(film(2, 2))
    assert masks.shape == (1, 8, 32, 32)
    rows, columns = np.nonzero(masks.any((0, 1)))
    assert masks.any((2, 3)).all() and rows.min() >= 9 and rows.max() <= 22 and columns.max() <= 29
    assert not motion_masks(film(2, 0)).any(), "what stands still does not"
    specks = film(2, 0)
    specks[0, 4:, 3, 25] = 150
    assert not motion_masks(specks).any(), "and one pixel is opened away"


def test_films_agree_with_themselves_and_not_with_motion_elsewhere():
    ours, late = motion_masks(film(2, 2)), motion_masks(film(2, 2)[:, [0, 0, 0, 0, 0, 1, 2, 3, 4]])
    elsewhere, still = motion_masks(film(2, 2, top=24)), motion_masks(film(2, 0))
    assert spatial_iou(ours, ours) == spatiotemporal_iou(ours, ours) == 1.0
    assert 0 < spatiotemporal_iou(ours, late) < spatial_iou(ours, late) < 1, "when counts only for the second"
    assert elsewhere.any() and spatial_iou(motion_masks(film(2, 2, top=0)), elsewhere) == 0.0, "motion elsewhere"
    assert spatial_iou(ours, still) == 0.0, "motion that is missed"
    assert np.isnan(spatial_iou(still, still)), "nothing to agree on"


def test_the_length_of_the_window_is_the_masks_length():
    with pytest.raises(ValueError, match="broadcast"):
        spatiotemporal_iou(motion_masks(film(2, 2)), motion_masks(film(2, 2, frames=4)))
