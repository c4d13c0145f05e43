"""How good a world in training is: its tokenizer alone, its roll-outs on held-out clips, and a verdict in words.

A glance that takes seconds, for whoever waits for a training; `worldling judge` is what measures a world.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldling.config import to_dict, write_atomic
from worldling.data.dataset import Dataset
from worldling.data.fit import picture_of
from worldling.frame_error import frame_error, psnr, psnr_of
from worldling.learn.frames import mean_picture
from worldling.report.preview import write_preview
from worldling.tokenizer.loss import moving_weight
from worldling.tokenizer.model import Tokenizer
from worldling.train.pictures import draw_strip
from worldling.types import frames_to_float
from worldling.world import World

#: Frames given at the start of a roll-out that is looked at, and frames of it.
CONTEXT_FRAMES, STRIP_FRAMES = 8, 50
#: A frame held still is compared with the one so many frames later.
HELD_FRAMES = 10
#: Held-out frames that a tokenizer is measured on at most, and clips that a world is.
NUM_FRAMES, NUM_CLIPS = 64, 8
#: By so many dB a tokenizer must beat both baselines; above `CLEAR_DB` it need not.
MARGIN_DB, CLEAR_DB = 3.0, 40.0
#: By so many dB a roll-out under the true actions must beat one under others to follow them.
FOLLOWS_DB = 0.5
#: A roll-out plays well if, after 10 frames, it beats the last frame held still by so many dB. What merely vanishes
#: already halves the error of what moved elsewhere, which is 3 dB.
PLAYS_DB = 4.0

PLAYS_WELL, BLURS, NOT_PLAYABLE = "plays well", "follows actions but blurs", "not playable yet"


@dataclass(frozen=True)
class TokenizerQuality:
    """PSNR in dB on held-out frames, with equal total weight on what moves and what stands still (tokenizer/loss.py).

    reconstructed: of frames encoded and decoded; mean_frame: of the mean training frame in their place; held_still: of
    the frame `HELD_FRAMES` before in their place.
    """

    reconstructed: float
    mean_frame: float
    held_still: float

    @property
    def sentence(self) -> str:
        """The figures, for people."""
        word = "good" if self.is_good else "not good enough"
        return (
            f"the tokenizer is {word}: {self.reconstructed:.1f} dB on held-out frames, where the mean frame has "
            f"{self.mean_frame:.1f} and a frame held still for {HELD_FRAMES} has {self.held_still:.1f}"
        )

    @property
    def is_good(self) -> bool:
        """Whether a world can be made with this tokenizer."""
        best = max(self.mean_frame, self.held_still)
        return self.reconstructed >= min(best + MARGIN_DB, CLEAR_DB)


class TokenizerCheck:
    """Held-out frames that a tokenizer is measured on while it learns.

    mean: the mean training frame, uint8 `[H, W, 3]`.
    """

    def __init__(self, dataset: Dataset, held: list[int], mean: np.ndarray, device: torch.device) -> None:
        per_episode = max(1, NUM_FRAMES // len(held))
        later, before, usual = [], [], []
        for i in held[:NUM_FRAMES]:
            frames = dataset.frames(i)
            rows = np.unique(np.linspace(min(HELD_FRAMES, len(frames) - 1), len(frames) - 1, per_episode).astype(int))
            later.append(frames[rows])
            before.append(frames[np.maximum(rows - HELD_FRAMES, 0)])
            usual += [mean_picture(frames)] * len(rows)
        self._frames, still = (_images(np.concatenate(part), device) for part in (later, before))
        self._weight = moving_weight(self._frames, frames_to_float(torch.stack(usual).to(device)))
        self._baselines = self._psnr(_images(mean[None], device)), self._psnr(still)

    def _psnr(self, images: Tensor) -> float:
        """Return the weighted PSNR of images `[n or 1, 3, H, W]` in place of the frames."""
        error = (images - self._frames).square().mean(1, keepdim=True)
        return float(psnr_of(float((error * self._weight).sum() / self._weight.sum()) / 4))

    @torch.inference_mode()
    def measure(self, tokenizer: Tokenizer) -> TokenizerQuality:
        """Return how good `tokenizer` is. Cost: one pass over at most 64 frames."""
        images = tokenizer.decode(tokenizer.encode(self._frames)).float().clamp(-1, 1)
        mean_frame, held_still = self._baselines
        return TokenizerQuality(self._psnr(images), mean_frame, held_still)


def _images(frames: np.ndarray, device: torch.device) -> Tensor:
    return frames_to_float(torch.from_numpy(frames).to(device))


@dataclass(frozen=True)
class Quality:
    """A world's roll-outs from held-out clips. Figures in dB, means over clips, `[frames ahead]` at `horizons`.

    model, held_still, mean_frame, other_actions: PSNR of the roll-out under the true actions, of the last given frame,
    of the mean training frame, and of the roll-out under another clip's actions (NaN where there is one clip or no
    action); gain: by how much the roll-out beats the last given frame, from squared errors summed over the clips, so
    that clips count in which much moves; tokenizer: of the world's tokenizer.
    """

    horizons: tuple[int, ...]
    model: tuple[float, ...]
    held_still: tuple[float, ...]
    mean_frame: tuple[float, ...]
    other_actions: tuple[float, ...]
    gain: tuple[float, ...]
    tokenizer: TokenizerQuality

    @property
    def _at(self) -> int:
        """Where 10 frames ahead are, or as near to that as there are."""
        return max((i for i, h in enumerate(self.horizons) if h <= HELD_FRAMES), default=0)

    @property
    def verdict(self) -> str:
        """`PLAYS_WELL`, `BLURS` or `NOT_PLAYABLE`, by the figures 10 frames ahead."""
        at = self._at
        follows = np.isnan(self.other_actions[at]) or self.model[at] - self.other_actions[at] >= FOLLOWS_DB
        if not self.tokenizer.is_good or not follows or self.model[at] < self.mean_frame[at]:
            return NOT_PLAYABLE
        return PLAYS_WELL if self.gain[at] >= PLAYS_DB else BLURS

    @property
    def summary(self) -> str:
        """The figures behind the verdict, for people."""
        at = self._at
        other = "" if np.isnan(self.other_actions[at]) else f", under other actions {self.other_actions[at]:.1f}"
        return (
            f"{self.model[at]:.1f} dB {self.horizons[at]} frames ahead (last frame held still "
            f"{self.held_still[at]:.1f}, mean frame {self.mean_frame[at]:.1f}{other})"
        )

    def by_horizon(self) -> dict[str, float]:
        """Return the PSNR of the roll-outs by name."""
        return {f"psnr_h{h}_db": round(db, 2) for h, db in zip(self.horizons, self.model, strict=True)}

    def card(self) -> dict[str, Any]:
        """Return the entry of a world's card: json values."""
        figures = _rounded(to_dict(self))
        return {**self.by_horizon(), "verdict": self.verdict, "summary": self.summary, "figures": figures}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, 2)
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, list) else value


def check_world(world: World, dataset: Dataset, held: list[int], tokenizer: TokenizerQuality, folder: Path) -> Quality:
    """Roll `world` out from a few held-out clips.

    Draws the first over the truth as a film strip, `folder/train/strip.png`, and writes the one in which most changes
    as the world's moving picture, `folder/preview.webp`.
    """
    length = min(CONTEXT_FRAMES + STRIP_FRAMES, *(dataset.lengths[i] for i in held))
    some = held[:NUM_CLIPS]
    offset = [(dataset.lengths[i] - length) // 2 for i in some]
    frames = np.stack([dataset.frames(i, o, o + length) for i, o in zip(some, offset, strict=True)])
    actions = np.stack([dataset.actions(i, o, o + length - 1) for i, o in zip(some, offset, strict=True)])
    k = min(CONTEXT_FRAMES, length - 2)
    state = world.start(frames[:, :k], actions[:, : k - 1])
    other = state.fork()
    rolled = world.rollout(state, actions[:, k - 1 :])
    truth = frames[:, k:]
    assert isinstance(rolled, np.ndarray), "frames were asked for"
    draw_strip(truth[0], rolled[0], folder / "train" / "strip.png")
    cut = picture_of(to_dict(dataset.meta), world.size_px).cut  # padding counts in no error
    frames, rolled, truth = cut(frames), cut(rolled), cut(truth)
    busiest = np.abs(truth - frames[:, k - 1 : k].astype(np.int16)).mean((1, 2, 3, 4)).argmax()
    write_atomic(folder / "preview.webp", write_preview(rolled[busiest], world.config.fps))
    horizons = tuple(h for h in (1, 10, 50) if h <= truth.shape[1])
    ahead = [h - 1 for h in horizons]
    still = np.broadcast_to(frames[:, k - 1 : k], truth.shape)[:, ahead]
    assert world.mean_frame is not None, "training knows the mean frame"
    unrelated = np.full(len(ahead), np.nan)
    if len(some) > 1 and actions[0].size:
        shuffled = world.rollout(other, np.roll(actions[:, k - 1 :], 1, 0)[:, : horizons[-1]])
        unrelated = psnr(cut(np.asarray(shuffled))[:, ahead], truth[:, ahead]).mean(0)
    measured = (
        psnr(rolled[:, ahead], truth[:, ahead]).mean(0),
        psnr(still, truth[:, ahead]).mean(0),
        psnr(cut(world.mean_frame), truth[:, ahead]).mean(0),
        unrelated,
        gain(rolled[:, ahead], still, truth[:, ahead]),
    )
    model, held_still, mean_frame, other_actions, gained = (tuple(map(float, row)) for row in measured)
    return Quality(horizons, model, held_still, mean_frame, other_actions, gained, tokenizer)


def gain(rolled: np.ndarray, still: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return by how many dB a roll-out beats a still frame, each uint8 `[B, n, H, W, 3]`, over all clips: `[n]`."""
    ours, theirs = (psnr_of(frame_error(frames, truth).mean(0)) for frames in (rolled, still))
    return ours - theirs
