"""Latents of a data set, and random clips of them, for dynamics to learn from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from worldling.dynamics.loss import CHANGES
from worldling.nn.lattice import from_levels

#: Steps of the shortest episode that clips are drawn from: nothing is learnt from the first of a clip.
LEAST_STEPS = 2


@dataclass
class Clips:
    """Latents of many episodes, end to end, and random clips of them.

    levels: uint8 `[F, N, C]`; action: float32 `[F, A]`, row t leads to frame t + 1; offsets: first row of
    each episode, and the end; num_levels: L; reward float32, ends bool `[F]`: of the step from each row, none by
    default; points float32 `[F, K, 2]`: the keypoints of each frame, in worlds that have them. All that is drawn or
    returned lies where `levels` does.
    """

    levels: Tensor
    action: Tensor
    offsets: list[int]
    num_levels: int
    reward: Tensor = field(default_factory=lambda: torch.zeros(0))
    ends: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.bool))
    points: Tensor | None = None
    _priority: Tensor | None = None
    _chance: tuple[int, Tensor] | None = None

    def __post_init__(self) -> None:
        self._bounds = torch.tensor(self.offsets, device=self.device)
        if not len(self.reward):
            self.reward = torch.zeros(len(self.levels), device=self.device)
            self.ends = torch.zeros(len(self.levels), dtype=torch.bool, device=self.device)

    @property
    def device(self) -> torch.device:
        """Where the latents lie."""
        return self.levels.device

    def to(self, device: torch.device) -> Clips:
        """Return the same clips on `device`, if they fill no more than half of its free memory; else these."""
        if device.type != "cuda" or self.device.type == "cuda":
            return self
        if self.levels.numel() > torch.cuda.mem_get_info(device)[0] // 2:
            return self
        parts = [part.to(device) for part in self.levels.split(1 << 18)]  # the file is read piece by piece
        reward, ends = self.reward.to(device), self.ends.to(device)
        points = None if self.points is None else self.points.to(device)
        return Clips(torch.cat(parts), self.action.to(device), self.offsets, self.num_levels, reward, ends, points)

    @property
    def priority(self) -> Tensor:
        """How often each row is drawn, float32 `[F]`, for what there is to learn from predicting the frame after it.

        At first, how many cells change there.
        """
        if self._priority is None:
            self._priority = torch.cat([self.changed().float(), torch.zeros(1, device=self.device)])
        return self._priority

    @priority.setter
    def priority(self, priority: Tensor) -> None:
        self._priority, self._chance = priority.to(self.device), None

    def sample(self, clips: int, length: int, sinks: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw clips of `length` frames and the frame that follows each; see `at` for what is returned.

        Clips of higher `priority` are drawn more often. Half of the clips that start late enough
        begin with `sinks` frames from earlier in the episode, as the ring memory will have them. An episode that is
        shorter than a clip begins at its first frame; after its end the clip is not `known`, and its last row repeated.
        generator: on `device`.
        """
        chances = self._chances(length)
        draw = torch.rand(clips, generator=generator, device=self.device, dtype=torch.float64) * chances[-1]
        first = torch.searchsorted(chances, draw, right=True).clamp(max=len(self.levels) - 1)
        episode = torch.searchsorted(self._bounds, first, right=True)
        begin, end = self._bounds[episode - 1], self._bounds[episode]
        row = (first[:, None] + torch.arange(length, device=self.device)).minimum(end[:, None] - 2)
        early, jump = torch.rand(2, clips, generator=generator, device=self.device)
        room = first - begin - sinks
        jumps = (jump < 0.5) & (room > 0)
        sink = (begin + (early * (room + 1)).floor().long())[:, None] + torch.arange(sinks, device=self.device)
        row[:, :sinks] = torch.where(jumps[:, None], sink, row[:, :sinks])
        return self.at(row)

    def _chances(self, length: int) -> Tensor:
        """Return the running sum, float64 `[F]`, of the chance of a clip of `length` frames to start at each row.

        A frame of an episode that has few places for a clip, or one that is too short for it, is seen as often as one
        of a long episode.
        """
        if self._chance is None or self._chance[0] != length:
            total = torch.cat([self.priority.new_zeros(1).double(), self.priority.double().cumsum(0)])
            start = torch.arange(len(self.levels), device=self.device)
            episode = torch.searchsorted(self._bounds, start, right=True)
            begin, end = self._bounds[episode - 1], self._bounds[episode]
            steps = end - begin - 1
            within = self.follows(start, length) | ((start == begin) & (steps < length) & (steps >= LEAST_STEPS))
            known, places = steps.clamp(1, length), (steps - length + 1).clamp(min=1)
            busy = (total[(start + length).minimum(end - 1)] - total[start]) / known  # of a frame
            floor = busy[within].mean().clamp(min=1e-6) / 4
            often = steps / (places * known)  # as often as there are frames, whatever number of clips they are in
            self._chance = (length, torch.where(within, (busy + floor) * often, 0.0).cumsum(0))
        return self._chance[1]

    def changed(self) -> Tensor:
        """Return how many cells change from each row to the next: int64 `[F - 1]`."""
        pieces = [self.levels[i : i + 8193] for i in range(0, len(self.levels) - 1, 8192)]  # of bounded size
        least = max(1, math.ceil(CHANGES * (self.num_levels - 1) / 2))
        return torch.cat(
            [((piece[1:].short() - piece[:-1].short()).abs().amax(-1) >= least).sum(1) for piece in pieces]
        )

    def at(self, row: Tensor) -> dict[str, Tensor]:
        """Return the clips at rows `[B, T]`.

        latent, previous `[B, T, N, C]`, action `[B, T, A]`, target (level numbers of the frames that follow) `[B, T, N,
        C]`, position (frames since the first), row and known (whether it is another row than the one before)
        `[B, T]`; points `[B, T, K, 2]`: of the frames that follow, if there are any.
        """
        known = torch.cat([torch.ones_like(row[:, :1], dtype=torch.bool), row.diff(dim=1) > 0], 1)
        position = row - row[:, :1] + (~known).cumsum(1)
        points = {} if self.points is None else {"points": self.points[row + 1]}
        return points | {
            "latent": from_levels(self.levels[row], self.num_levels),
            "previous": from_levels(self.levels[torch.where(position > 0, row - 1, row)], self.num_levels),
            "action": self.action[row],
            "target": self.levels[row + 1].long(),
            "position": position,
            "row": row,
            "known": known,
        }

    def follows(self, row: Tensor, length: int) -> Tensor:
        """Whether `length` frames from each row `[B]` on, and one more, lie in the row's own episode."""
        end = self._bounds[torch.searchsorted(self._bounds, row, right=True)]
        return row + length < end


def busiest(weight: Tensor, count: int) -> Tensor:
    """Return the `count` cells of each clip with the largest sums of `weight` `[B, T, N]`.

    int64 `[B, count]`, ascending.
    """
    return weight.sum(1).topk(count).indices.sort(1).values
