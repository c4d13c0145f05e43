"""One training run's folder: budget, metrics, checkpoints, Ctrl-C. Stopping at any time loses at most a minute."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from worldling.checkpoint import read_json, read_tensors, write_tensors
from worldling.config import to_dict, write_atomic
from worldling.errors import CheckpointError
from worldling.progress import Progress
from worldling.learn.optimizer import Muon
from worldling.train.recipe import TrainConfig


#: Steps between two lines of metrics.jsonl.
LOG_EVERY = 20


class Stage:
    """The clock and the log of one stage ("tokenizer" or "dynamics") of a run.

    model, ema: the network and the running mean of its weights; step, seconds: what is done, kept over
    interruptions; pauses for pictures do not count.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        config: TrainConfig,
        minutes: float,
        model: nn.Module,
        ema: nn.Module,
        optimizer: Muon,
        quiet: bool,
    ) -> None:
        self.name, self.folder, self.config, self.quiet = name, folder, config, quiet
        self.model, self.ema, self.optimizer = model, ema, optimizer
        self.budget_s = minutes * 60
        self.step, self.seconds, self.finished = 0, 0.0, False
        self.extra: dict[str, Tensor] = {}  # what the stage kept in its last checkpoint
        self.keep: Callable[[], dict[str, Tensor]] = dict
        self._recent: list[Tensor] = []
        self._loss = math.nan  # the last that was looked at
        self._saved = self._mark = time.monotonic()
        self.progress = Progress(f"training {name}", 1.0, "s", quiet)
        if self.file.exists():
            self._resume()

    @property
    def file(self) -> Path:
        """The stage's checkpoint."""
        return self.folder / f"{self.name}.safetensors"

    @property
    def done(self) -> float:
        """Share of the budget used, 0 to 1."""
        if self.finished:
            return 1.0
        return min(1.0, self.step / self.config.steps if self.config.steps else self.seconds / self.budget_s)

    def generator(self, purpose: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
        """Return this step's randomness for a purpose: the same whether or not the run was interrupted."""
        salt = self.config.seed * 8 + {"tokenizer": 0, "dynamics": 4}[self.name] + purpose
        return torch.Generator(device).manual_seed(salt * 100_000_007 + self.step)

    def set_lr(self, peak: float) -> None:
        """Warm up over 50 steps, then fall linearly to nothing."""
        for group in self.optimizer.param_groups:
            group["lr"] = peak * min(1.0, (self.step + 1) / 50) * max(1 - self.done, 0.01)

    def update(
        self, loss: Tensor, also: Callable[[], None] = lambda: None, metrics: Callable[[], dict[str, float]] = dict
    ) -> None:
        """Take one optimizer step on `loss`, follow with the EMA, and log.

        also: what else belongs to the step, done with it or not at all; metrics: asked for what else to log, every
        `LOG_EVERY` steps. In between no number is read from the device, so that it never waits for Python.
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        with uninterrupted():  # or a checkpoint would hold half a step
            self.optimizer.step()
            with torch.no_grad():
                follow = 1 - min(self.config.ema, (self.step + 1) / (self.step + 20))
                torch._foreach_lerp_(list(self.ema.parameters()), list(self.model.parameters()), follow)
            also()
            self.step += 1
        now = time.monotonic()
        self.seconds += now - self._mark
        self._mark = now
        self._recent.append(loss.detach())
        if len(self._recent) >= LOG_EVERY or self.done >= 1:
            self._look()
            self.log(loss=self._loss, **metrics())
        self.progress.total = 1.0
        self.progress.update(self.done, f"step {self.step}" + (f", loss {self._loss:.4f}" if self._loss == self._loss else ""))

    def _look(self) -> None:
        """Take the mean of the losses since last time. Raises `CheckpointError` if it is not finite."""
        if not self._recent:
            return
        self._loss = torch.stack(self._recent).float().mean().item()
        self._recent.clear()
        if not math.isfinite(self._loss):
            raise CheckpointError(
                f"`loss` must be finite, got {self._loss} within {LOG_EVERY} steps of step {self.step}. "
                f"Run again from the last checkpoint with a smaller rate, --set {self.name}_lr=0.002."
            )

    def log(self, **metrics: float) -> None:
        """Append one line to metrics.jsonl."""
        row = {"stage": self.name, "step": self.step, "seconds": round(self.seconds, 2), **metrics}
        with open(self.folder / "metrics.jsonl", "a") as file:
            file.write(json.dumps(row) + "\n")

    def pause(self) -> AbstractContextManager[None]:
        """Stop the clock inside a `with`."""
        return _Pause(self)

    def due(self, seconds: float) -> bool:
        """Whether the last checkpoint is older than `seconds`."""
        return time.monotonic() - self._saved > seconds

    def save(self) -> None:
        """Write the checkpoint: weights, EMA, optimizer, clock, and what the stage keeps.

        Raises `CheckpointError`, and leaves the last one as it was, if the loss is not finite.
        """
        self._look()
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.state_dict().items()}
        tensors |= {f"extra.{k}": v for k, v in self.keep().items()}
        counts = {}
        for i, state in self.optimizer.state_dict()["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{i}.{key}"] = value
                else:
                    counts[f"{i}.{key}"] = value
        meta = {
            "stage": self.name,
            "step": self.step,
            "seconds": self.seconds,
            "finished": self.done >= 1,
            "config": to_dict(self.config),
            "counts": counts,
        }
        write_tensors(self.file, tensors, meta)
        self._saved = time.monotonic()

    def _resume(self) -> None:
        tensors, meta = read_tensors(self.file)
        if meta.get("stage") != self.name or meta.get("config", {}).get("size") != self.config.size:
            raise CheckpointError(
                f"`{self.file}` must be a {self.name} of size {self.config.size}, got {meta.get('stage')} of size "
                f"{meta.get('config', {}).get('size')}. Choose another --out, or the same --size."
            )
        for module, prefix in ((self.model, "model."), (self.ema, "ema.")):
            own = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
            module.load_state_dict(own)
        self.extra = {k.removeprefix("extra."): v for k, v in tensors.items() if k.startswith("extra.")}
        state: dict[int, dict[str, Any]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, i, name = key.split(".")
                state.setdefault(int(i), {})[name] = value
        for key, value in meta["counts"].items():
            i, name = key.split(".")
            state.setdefault(int(i), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.step, self.seconds = meta["step"], meta["seconds"]
        more = self.step < self.config.steps if self.config.steps else self.seconds < 0.99 * self.budget_s
        # another tokenizer would say the dynamics' words differently: only they can be given more time
        self.finished = meta["finished"] and not (more and self.name == "dynamics")

    def restart_clock(self) -> None:
        """Count from now; call when the first step is about to begin."""
        self._mark = time.monotonic()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM inside a `with`; they arrive at its end."""
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return
    caught: list[int] = []
    before = {
        number: signal.signal(number, lambda n, _: caught.append(n)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in caught:
            signal.raise_signal(number)


class _Pause:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def __enter__(self) -> None:
        self.began = time.monotonic()

    def __exit__(self, *exc: object) -> None:
        self.stage._mark += time.monotonic() - self.began


def write_settings(
    folder: Path, config: TrainConfig, data: str, made_of: dict[str, Any], usual: dict[str, dict[str, Any]]
) -> None:
    """Save the resolved settings beside the checkpoints, with what a run cannot change half-way.

    made_of: json values by name; usual: what settings are that a run does not name since it is older than they are.
    Raises `CheckpointError` if there are checkpoints of a run in which one of `made_of` was another.
    """
    file = folder / "train.json"
    begun = any(folder.glob("*.safetensors")) and file.exists()
    before = read_json(file, "the settings of a run").get("made_of", {}) if begun else {}
    for name, was in before.items():
        if ({**usual[name], **was} if name in usual else was) != made_of.get(name):
            raise CheckpointError(
                f"`{name}` must be as when {folder} was begun, got another. Give the same options and data, or choose another --out."
            )
    write_atomic(file, json.dumps({"data": data, **to_dict(config), "made_of": made_of}, indent=2) + "\n")
