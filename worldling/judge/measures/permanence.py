"""Object permanence: is a thing that should be in the picture there, in one piece and of sensible size?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from worldling.judge.measures.pieces import largest_piece
from worldling.scenes.seen import SEEN, cover, read

#: A thing is visible if the simulator says it covers at least this share of the picture (12 pixels of 64 x 64).
VISIBLE = 12 / 64**2
#: Sensible size: from this factor of the size that 9 in 10 true frames of the episode exceed, to that of the size that
#: 1 in 10 exceeds.
SENSIBLE = (0.4, 2.5)
#: One thing: this share of its pixels hangs together.
IN_ONE_PIECE = 0.6
_CHUNK = 512


@dataclass
class Found:
    """What is read in frames `[..., H, W, 3]` of red and of yellow, side by side.

    place `[..., 2, 2]`: centres x, y in shares of the picture (NaN if not seen); area `[..., 2]`: share of the picture;
    piece `[..., 2]`: share of its pixels that lie in its largest piece.
    """

    place: np.ndarray
    area: np.ndarray
    piece: np.ndarray


def find(frames: np.ndarray) -> Found:
    """Look for red and yellow in uint8 frames `[..., H, W, 3]`. Cost: about 1 ms a frame of 64 px."""
    things = read(frames)
    flat = torch.from_numpy(np.ascontiguousarray(frames.reshape(-1, *frames.shape[-3:])))
    piece = np.concatenate([largest_piece((cover(part) > 0.5).flatten(0, 1)) for part in torch.split(flat, _CHUNK)])
    return Found(
        np.stack([things.agent, things.patient], -2),
        np.stack([things.agent_area, things.patient_area], -1),
        piece.reshape(*frames.shape[:-3], 2),
    )


def sensible_area(truth: Found) -> np.ndarray:
    """Return the smallest and largest sensible area of red and of yellow: `[2, n, 2]`, NaN if they are never seen.

    truth: of the true frames `[n, T]`.
    """
    seen = np.where(truth.area >= SEEN, truth.area, np.nan)
    ever = np.asarray(np.isfinite(seen).any(axis=1))
    small, large = np.nanquantile(np.where(ever[:, None], seen, 0.0), (0.1, 0.9), axis=1)
    return np.where(ever, np.stack([SENSIBLE[0] * small, SENSIBLE[1] * large]), np.nan)


def is_there(found: Found, sensible: np.ndarray) -> np.ndarray:
    """Say whether red and yellow are there in frames `[n, T]`, in one piece and of sensible size: bool `[n, T, 2]`.

    sensible: of `sensible_area`.
    """
    low, high = sensible[:, :, None]
    there: np.ndarray = (
        (found.area >= SEEN) & (found.area >= low) & (found.area <= high) & (found.piece >= IN_ONE_PIECE)
    )
    return there


def kept(there: Mapping[str, np.ndarray], visible: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Say which things that should be there are: by condition, 1, 0 or NaN where not counted.

    there: by condition, "truth" among them, of `is_there`; visible: the simulator sees it. A thing should be there if
    the simulator sees it and the true frame passes the same test, so that truth scores 1. Also returned: whether it
    passes, where the simulator sees it. All of one shape.
    """
    should = visible & (there["truth"] == 1)
    return {name: np.where(should, is_, np.nan) for name, is_ in there.items()}, np.where(
        visible, there["truth"], np.nan
    )
