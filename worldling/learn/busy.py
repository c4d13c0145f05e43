"""Noticing that other programs want the processor too."""

from __future__ import annotations

import time

import torch

#: Below this share of its threads' time, a training is said to share the machine.
BUSY_SHARE = 0.65
#: Seconds over which the share is measured.
SPAN_S = 20.0


class BusyWatch:
    """Compares the processor time this process got with what its threads could have had."""

    def __init__(self) -> None:
        self._wall, self._used = time.monotonic(), time.process_time()
        self._told = False

    def message(self) -> str | None:
        """Return what to say, once, if this process got too little of the processor since the last call."""
        wall, used = time.monotonic() - self._wall, time.process_time() - self._used
        if self._told or wall < SPAN_S:
            return None
        self._wall, self._used = time.monotonic(), time.process_time()
        share = used / (wall * torch.get_num_threads())
        if share >= BUSY_SHARE:
            return None
        self._told = True
        return f"this machine is busy: training gets {share:.0%} of {torch.get_num_threads()} cores, and takes longer"
