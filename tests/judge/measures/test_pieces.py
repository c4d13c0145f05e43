"""Pieces of masks."""

import numpy as np
import torch

from worldling.judge.measures.pieces import label_pieces, largest_piece


def test_pieces_hang_together_over_corners():
    mask = torch.zeros(4, 20, 20, dtype=torch.bool)
    mask[1, 2:6, 2:6] = True
    mask[2, 2:6, 2:6] = mask[2, 10:12, 10:14] = True
    mask[3] = torch.eye(20, dtype=torch.bool)
    assert largest_piece(mask).tolist() == [0.0, 1.0, np.float32(16 / 24), 1.0]
    labels = label_pieces(mask)
    assert [len(one.unique()) - 1 for one in labels] == [0, 1, 2, 1] and (labels > 0).equal(mask)
