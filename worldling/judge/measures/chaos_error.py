"""How far a prediction is from the truth, and for how long it is valid: the measures of the chaos suite.

Frames are compared after a Gaussian blur of a sixteenth of the picture: a thing that is a little off then counts a
little, by how far it is off, and not as if it were gone. All functions take `n` runs at once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from worldling.judge.measures.bootstrap import Bootstrap
from worldling.report.values import Interval

#: A prediction is valid until its normalised error exceeds this, as in Pathak et al. (Phys. Rev. Lett. 120, 024102,
#: 2018).
ERROR_LIMIT = 0.4
BLUR = 1 / 16  # standard deviation, in shares of the picture
_SIDE = 16  # places along each side at which the blurred picture is read
_FIT_TO = 0.3  # perturbed copies part exponentially until their distance is this share of the spread
_CHUNK = 256
_RINGS, _QUIET = 16, 1e-6  # scales told apart; power below which there is nothing to compare


def blurred(frames: np.ndarray) -> np.ndarray:
    """Blur uint8 frames `[..., H, W, 3]` and read them on a grid as coarse as the blur.

    Returns float32 `[..., 16, 16, 3]`, 0 to 1.
    """
    size, flat = frames.shape[-2], frames.reshape(-1, *frames.shape[-3:])
    at, pixels = (np.arange(_SIDE) + 0.5) / _SIDE, (np.arange(size) + 0.5) / size
    weight = np.exp(-0.5 * ((at[:, None] - pixels) / BLUR) ** 2)
    weight = (weight / weight.sum(1, keepdims=True)).astype(np.float32)
    across = np.kron(weight.T, np.eye(3, dtype=np.float32)) / 255.0  # colours stay apart
    soft = np.empty((len(flat), _SIDE, _SIDE * 3), np.float32)
    for first in range(0, len(flat), _CHUNK):
        some = flat[first : first + _CHUNK].reshape(-1, size, size * 3).astype(np.float32)
        soft[first : first + _CHUNK] = (weight @ some) @ across
    return soft.reshape(*frames.shape[:-3], _SIDE, _SIDE, 3)


def grey(frames: np.ndarray) -> np.ndarray:
    """Mean of the colours of uint8 frames `[..., H, W, 3]`: float32 `[..., H, W]`, 0 to 1."""
    levels: np.ndarray = (frames[..., 0].astype(np.float32) + frames[..., 1] + frames[..., 2]) / 765.0
    return levels


def squared(truth: np.ndarray, other: np.ndarray, lead: int = 2) -> np.ndarray:
    """Mean squared difference over all but the `lead` first axes, `[n, T]`."""
    difference = truth - other
    mean: np.ndarray = np.square(difference).reshape(*difference.shape[:lead], -1).mean(-1, dtype=np.float64)
    return mean


def variance(apart: np.ndarray) -> float:
    """The variance that actions leave open, from squared distances `[n, T]` of runs that share nothing but those.

    Half their mean over the second half of the time: two draws of a quantity are apart by twice its variance.
    """
    return float(apart[:, apart.shape[1] // 2 :].mean() / 2.0)


def valid_frames(error: np.ndarray, limit: float = ERROR_LIMIT) -> np.ndarray:
    """Frames until errors `[n, T]` first exceed `limit`, T if they never do; what is not a number exceeds it: `[n]`."""
    lost = ~(error <= limit)
    valid: np.ndarray = np.where(lost.any(1), lost.argmax(1), error.shape[1]).astype(float)
    return valid


def vrmse(truth: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Root mean squared error of grey frames `[n, T, H, W]` over the true frame's own variance in space: `[n, T]`.

    As in The Well (arXiv 2412.00568): 1 is what its own mean grey would score.
    """
    ratio: np.ndarray = np.sqrt(squared(truth, other) / (truth.var(axis=(-2, -1)) + 1e-7))
    return ratio


def spectrum_error(truth: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Mean absolute difference of log10 power over rings of equal scale, of grey frames `[n, T, H, W]`: `[n]`.

    Power is averaged over the time first: it asks whether there is as much of every scale, not where.
    """
    difference: np.ndarray = np.abs(np.log10(_power(truth) / _power(other))).mean(-1)
    return difference


@dataclass(frozen=True)
class Growth(Interval):
    """Rate per frame at which perturbed copies part, fitted from one frame to another."""

    first_frame: int
    last_frame: int


def growth(distances: np.ndarray, boot: Bootstrap) -> Growth:
    """Fit how fast perturbed copies part: distances `[n, T]` in shares of the spread, frame 0 being the perturbation.

    The slope of the mean logarithm from frame 2 until it passes 0.3 of the spread, with the interval over the starts.
    """
    logs = np.log(np.maximum(distances, 1e-12))
    curve = logs.mean(0)
    past = np.flatnonzero(curve > np.log(_FIT_TO))
    first, last = 2, int(past[0]) if len(past) else len(curve)
    last = max(last, first + 5)
    steps = np.arange(first, last) - (first + last - 1) / 2
    slopes = logs[:, first:last] @ steps / (steps @ steps)
    return Growth(**asdict(boot.mean(slopes)), first_frame=first, last_frame=last - 1)


def share_for(valid: float, shares: np.ndarray, ladder: np.ndarray) -> float:
    """Share by which a simulator is off that is valid for as long.

    Between the ladder's rungs, on a line in log shares.
    """
    order = np.argsort(ladder)
    return float(np.exp(np.interp(valid, ladder[order], np.log(shares)[order])))


def valid_at(share: float, shares: np.ndarray, ladder: np.ndarray) -> float:
    """Valid frames of a simulator that is off by `share`: between the ladder's rungs, on a line in log shares."""
    order = np.argsort(shares)
    return float(np.interp(np.log(share), np.log(shares)[order], ladder[order]))


def _power(frames: np.ndarray) -> np.ndarray:
    """Power of grey frames `[n, T, H, W]` in rings around frequency 0, averaged over time: `[n, rings]`."""
    size = frames.shape[-1]
    at = np.fft.fftfreq(size) * size
    ring = np.minimum(np.hypot(at[:, None], at[None]) / (size / 2) * _RINGS, _RINGS).astype(int)
    sums = [
        np.bincount(ring.ravel(), np.square(np.abs(np.fft.fft2(film))).mean(0).ravel(), _RINGS + 1) for film in frames
    ]
    power: np.ndarray = np.maximum(np.stack(sums)[:, :_RINGS], _QUIET * size**2)
    return power
