"""What a readout of contact is given stands still where nothing is seen to move."""

import numpy as np

from worldling.judge.measures.contact_features import future_features
from worldling.scenes.seen import read


def test_what_is_hidden_stays_where_it_was_seen():
    """Yellow is covered from the first predicted frame on, or from the last one shown: it does not jump away."""
    frames = np.full((1, 8, 64, 64, 3), 90, np.uint8)
    frames[:, :, 40:48, 4:12] = (220, 30, 30)
    shown, future = frames[:, :4].copy(), frames[:, 4:]
    shown[:, :, 8:16, 50:58] = (220, 220, 30)
    early = shown.copy()
    early[:, 3] = frames[:, 3]
    moved_at_the_end, moved_at_most, jerked = 10, 13, 14
    for given in (shown, early):
        features = future_features(read(given), read(future))
        assert (features[0, [moved_at_the_end, moved_at_most, jerked]] == 0).all()
