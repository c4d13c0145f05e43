"""One stage of a training run: budget, optimizer step, EMA, metrics, checkpoints, Ctrl-C.

    stage = Stage("dynamics", folder, model, optimizer, Budget(minutes=30))
    with stage.running():
        while stage.share_done < 1:
            stage.set_learning_rate(6e-3)
            stage.update(loss_of(model, stage.generator()))
    model = stage.ema

The learning rate warms up, and falls linearly over the whole budget. The rate of an `open_ended` stage stays at its
peak until `cool_down` is called, or until just enough of the budget is left, and then falls over the last fifth of its
steps.

It knows nothing of worlds: distillation, quantization-aware training and policies use it as training does. Stopping at
any time loses at most what came after the last checkpoint, and a resumed stage continues the same curve.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from worldling.checkpoint import read_json, read_tensors, write_tensors
from worldling.config import write_atomic
from worldling.errors import CheckpointError
from worldling.learn.busy import BusyWatch
from worldling.learn.interruption import uninterrupted
from worldling.learn.optimizer import Muon
from worldling.progress import Progress

#: Steps between two lines of metrics.jsonl; in between no number is read from the device.
LOG_EVERY = 20
WARM_UP_STEPS = 50
#: Steps over which the rate of an open-ended stage falls, as a share of those before, and at least.
COOL_SHARE, MIN_COOL_STEPS = 0.25, 50
Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class Budget:
    """How long a stage trains: `minutes` of wall-clock time, or exactly `steps` if that is above 0.

    either: until the minutes or the steps are over, whichever is first.
    """

    minutes: float
    steps: int = 0
    either: bool = False

    def share(self, step: int, seconds: float) -> float:
        """Return the share used, 0 to 1, after `step` steps and `seconds`."""
        by_steps = step / self.steps if self.steps else 0.0
        by_time = seconds / (60 * self.minutes) if self.either or not self.steps else 0.0
        return min(1.0, max(by_time, by_steps))


class Stage(Generic[Model]):
    """A model in training, its optimizer and its clock; kept in `folder / f"{name}.safetensors"` over interruptions.

    model: trained in place, on any device; ema: the running mean of its weights; step, seconds: what is done,
    not counting pauses. ema_decay: of the mean, smaller at the beginning; seed: of `generator`; identity: json values
    that a checkpoint must share to be resumed; extendable: a finished stage goes on when its budget has grown;
    open_ended: see the module.
    Raises `CheckpointError` if the checkpoint in `folder` is damaged or of another stage or identity.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        model: Model,
        optimizer: Muon,
        budget: Budget,
        ema_decay: float = 0.998,
        seed: int = 0,
        identity: Mapping[str, Any] | None = None,
        extendable: bool = False,
        open_ended: bool = False,
        quiet: bool = False,
    ) -> None:
        self.name, self.folder, self.budget, self.quiet = name, folder, budget, quiet
        self.model, self.ema, self.optimizer = model, copy.deepcopy(model), optimizer
        self.ema_decay, self.seed, self.identity, self.extendable = ema_decay, seed, dict(identity or {}), extendable
        self.step, self.seconds, self.finished = 0, 0.0, False
        self.open_ended, self.cooling_from = open_ended and not budget.steps, 0  # the step that cooling began at, or 0
        self.extra: dict[str, Tensor] = {}  # what the stage kept in its last checkpoint
        self.keep: Callable[[], dict[str, Tensor]] = dict
        self._recent: list[Tensor] = []
        self._loss = math.nan  # the last that was read
        self._saved = self._mark = time.monotonic()
        self._busy = BusyWatch()
        self.progress = Progress(f"training {name}", 1.0, "s", quiet)
        if self.file.exists():
            self._resume()

    @property
    def file(self) -> Path:
        """The stage's checkpoint."""
        return self.folder / f"{self.name}.safetensors"

    @property
    def share_done(self) -> float:
        """Share of the budget used, or of what an open-ended stage will use if that is more; 0 to 1."""
        if self.finished:
            return 1.0
        used = self.budget.share(self.step, self.seconds)
        return max(used, min(1.0, self.step / self._last_step)) if self.cooling_from else used

    @property
    def has_time(self) -> bool:
        """Whether the budget is not used up, but for a hundredth of its minutes."""
        return self.budget.share(self.step, self.seconds) < (1.0 if self.budget.steps else 0.99)

    @property
    def _last_step(self) -> int:
        """The step that ends a stage which is cooling."""
        return self.cooling_from + max(MIN_COOL_STEPS, round(COOL_SHARE * self.cooling_from))

    def cool_down(self) -> None:
        """Let the rate of an open-ended stage begin to fall; its end is then near."""
        self.cooling_from = self.cooling_from or self.step

    def reopen(self) -> None:
        """Let a stage that had come to its end go on within its budget, at the peak rate again."""
        self.finished, self.cooling_from = False, 0

    def end_by(self, seconds_left: float) -> None:
        """Let the stage take `seconds_left` from now, whatever its budget was."""
        self.budget = Budget((self.seconds + seconds_left) / 60)

    def generator(self, purpose: str = "", device: torch.device | str = "cpu") -> torch.Generator:
        """Return this step's randomness for a purpose: the same whether or not the run was interrupted."""
        salt = hashlib.sha256(f"{self.seed} {self.name} {purpose}".encode()).digest()[:7]
        return torch.Generator(device).manual_seed(int.from_bytes(salt) + self.step)

    def set_learning_rate(self, peak: float) -> None:
        """Warm up over 50 steps, then fall to a hundredth as the module says."""
        left = 1 - self.share_done
        if self.open_ended:
            if self.budget.share(self.step, self.seconds) >= 1 / (1 + COOL_SHARE):
                self.cool_down()
            cooled = (self.step - self.cooling_from) / (self._last_step - self.cooling_from)
            left = 1 - cooled if self.cooling_from else 1.0
        rate = peak * min(1.0, (self.step + 1) / WARM_UP_STEPS) * max(left, 0.01)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def update(
        self, loss: Tensor, also: Callable[[], None] = lambda: None, metrics: Callable[[], dict[str, float]] = dict
    ) -> None:
        """Take one optimizer step on `loss`, follow with the EMA, and log.

        also: what else belongs to the step, done with it or not at all; metrics: asked for what else to log, every
        `LOG_EVERY` steps. Raises `CheckpointError` if the loss of one of the steps since then was not finite.
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        with uninterrupted():  # or a checkpoint would hold half a step
            self.optimizer.step()
            with torch.no_grad():
                follow = 1 - min(self.ema_decay, (self.step + 1) / (self.step + 20))
                torch._foreach_lerp_(list(self.ema.parameters()), list(self.model.parameters()), follow)
            also()
            self.step += 1
        now = time.monotonic()
        self.seconds += now - self._mark
        self._mark = now
        self._recent.append(loss.detach())
        if len(self._recent) >= LOG_EVERY or self.share_done >= 1:
            self._read_loss()
            self.log(loss=self._loss, **metrics())
            self._watch_load(loss.device)
        note = f"step {self.step}" + ("" if math.isnan(self._loss) else f", loss {self._loss:.4f}")
        self.progress.update(self.share_done, note)

    def _watch_load(self, device: torch.device) -> None:
        """Say, once, if a training on the CPU has to share it."""
        message = None if device.type != "cpu" else self._busy.message()
        if message:
            self.say(message)

    def say(self, message: str) -> None:
        """Print a line on stderr between those of the progress, unless quiet."""
        if not self.quiet:
            self.progress.close()
            print(message, file=sys.stderr, flush=True)

    def _read_loss(self) -> None:
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
        """Append one line to metrics.jsonl, without what is no number: json has no NaN."""
        known = {name: value for name, value in metrics.items() if math.isfinite(value)}
        row = {"stage": self.name, "step": self.step, "seconds": round(self.seconds, 2), **known}
        with open(self.folder / "metrics.jsonl", "a") as file:
            file.write(json.dumps(row) + "\n")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the clock inside a `with`; save at its end, and on Ctrl-C before leaving.

        A finished stage stays as it is.
        """
        self._mark = time.monotonic()
        already = self.share_done >= 1
        try:
            yield
        except KeyboardInterrupt:
            self.progress.close()
            self.save()
            raise
        self.progress.close()
        if not already:
            self.save()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock inside a `with`."""
        began = time.monotonic()
        yield
        self._mark += time.monotonic() - began

    def due(self, seconds: float) -> bool:
        """Whether the last checkpoint is older than `seconds`."""
        return time.monotonic() - self._saved > seconds

    def save(self) -> None:
        """Write the checkpoint: weights, EMA, optimizer, clock, and what `keep` returns.

        Raises `CheckpointError`, and leaves the last one as it was, if the loss is not finite.
        """
        self._read_loss()
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
            "identity": self.identity,
            "step": self.step,
            "seconds": self.seconds,
            "finished": self.share_done >= 1,
            "cooling_from": self.cooling_from,
            "counts": counts,
        }
        write_tensors(self.file, tensors, meta)
        self._saved = time.monotonic()

    def _resume(self) -> None:
        tensors, meta = read_tensors(self.file)
        identity = meta.get("identity", {"size": meta.get("config", {}).get("size")})  # as older versions wrote it
        alike = all(identity.get(name, value) == value for name, value in self.identity.items())  # older: fewer names
        if meta.get("stage") != self.name or not alike:
            raise CheckpointError(
                f"`{self.file}` must be a {self.name} with {self.identity}, got {meta.get('stage')} with {identity}. "
                "Choose another --out, or give the same options."
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
        self.step, self.seconds, self.cooling_from = meta["step"], meta["seconds"], meta.get("cooling_from", 0)
        self.finished = meta["finished"] and not (self.has_time and self.extendable)


def write_settings(
    folder: Path,
    settings: dict[str, Any],
    made_of: dict[str, Any],
    upgrade: Callable[[str, Any], Any] = lambda name, value: value,
) -> None:
    """Save a run's settings as train.json beside its checkpoints, with what a run cannot change half-way.

    made_of: json values by name; upgrade: turns what an older version wrote under a name into what it would write
    today. Raises `CheckpointError` if there are checkpoints of a run in which one of `made_of` was another.
    """
    file = folder / "train.json"
    begun = any(folder.glob("*.safetensors")) and file.exists()
    before = read_json(file, "the settings of a run").get("made_of", {}) if begun else {}
    for name, was in before.items():
        if upgrade(name, was) != made_of.get(name):
            raise CheckpointError(
                f"`{name}` must be as when {folder} was begun, got another. Give the same options and data, or choose "
                "another --out."
            )
    write_atomic(file, json.dumps({**settings, "made_of": made_of}, indent=2) + "\n")
