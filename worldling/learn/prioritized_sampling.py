"""Clips that were hard to predict are drawn more often.

At first as often as cells change in them; then by the cross-entropy of their frames when last seen (as in
prioritized replay, Schaul et al., arXiv 1511.05952, without its correction: the common is learnt long before the rare).
What is rare in a recording, a bounce or a push, is most of what a world gets wrong.
"""

from __future__ import annotations

import itertools

from torch import Tensor

from worldling.learn.clips import Clips

#: How much of what was known of a frame stays when it is seen again.
KEPT = 0.5


class PrioritizedSampling:
    """Keeps `clips.priority`; clip_frames: of the clips drawn.

    Changes gather in `latest` and count from `apply` on, so that drawing stays cheap.
    """

    def __init__(self, clips: Clips, clip_frames: int = 0) -> None:
        self.clips, self.changed = clips, clips.priority
        self.latest = self.changed.clone()
        # Where all are longer than any clip no row is left out, and asking which would make a GPU wait.
        self._some_are_short = min(b - a for a, b in itertools.pairwise(clips.offsets)) <= clip_frames

    def record(self, row: Tensor, nats: Tensor) -> None:
        """Remember that the frames after rows `[...]` were predicted with cross-entropy `nats` `[...]`.

        In units of cells: a frame as hard as frames of this step usually are, for what changes in it, keeps its
        priority. Rows below 0 are none.
        """
        row, nats = row.flatten(), nats.flatten().float().to(row.device)
        if self._some_are_short:
            row, nats = row[row >= 0], nats[row >= 0]
        usual = (nats.sum() / self.changed[row].sum().clamp(min=1)).clamp(min=1e-6)  # 0 where everything is predicted
        self.latest[row] = self.latest[row] * KEPT + nats / usual * (1 - KEPT)

    def apply(self) -> None:
        """Draw clips by what is known now."""
        self.clips.priority = self.latest.clone()

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint must hold for the run to go on as if it had not stopped."""
        return {"priority": self.clips.priority, "latest": self.latest}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `tensors` returned, if anything."""
        if "priority" in tensors:
            self.clips.priority, self.latest = tensors["priority"], tensors["latest"].to(self.clips.device)
