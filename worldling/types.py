"""Basic types: frames, actions, episodes, steps, and their shapes.

Shape legend, used in every docstring:

    B batch    T time    H W pixels    h w latent grid    N = h*w tokens
    C latent channels    L levels a channel can take    D width    A encoded action size
    R memory slots       S candidate plans

A frame is uint8 `[H, W, 3]`, RGB. An episode of T frames has T - 1 actions; `actions[t]` leads from frame t to
frame t + 1. This file has the only conversion between uint8 frames and the floats that networks read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from worldling.errors import ActionError, ConfigError, ShapeError
from worldling.untrusted import check_texts

if TYPE_CHECKING:
    import torch

#: Choices of an action space in all, and numbers of a box.
MOST_CHOICES = 65536
#: A Box of whole numbers of which no axis has more values is a table of choices.
WHOLE_CHOICES = 5
#: What environments call the choice that does nothing, in capitals and letters alone.
IDLE_NAMES = ("NOOP", "NOTHING", "DONOTHING", "IDLE", "NONE", "STAY")


def frames_to_float(frames: torch.Tensor) -> torch.Tensor:
    """Turn uint8 frames `[..., H, W, 3]` into floats `[..., 3, H, W]` in [-1, 1]."""
    return frames.movedim(-1, -3).float().div(127.5).sub(1.0)


def float_to_frames(images: torch.Tensor) -> torch.Tensor:
    """Turn floats `[..., 3, H, W]` in [-1, 1] into uint8 frames `[..., H, W, 3]`; clips and rounds."""
    import torch

    return images.add(1.0).mul(127.5).round().clamp(0, 255).to(torch.uint8).movedim(-3, -1)


def check_frames(frames: Any, name: str = "frames", ndim: tuple[int, ...] = (4, 5)) -> np.ndarray:
    """Return `frames` as a uint8 array of `[T, H, W, 3]` or `[B, T, H, W, 3]`, or raise `ShapeError`."""
    array = np.asarray(frames)
    if array.dtype != np.uint8 or array.ndim not in ndim or array.shape[-1] != 3:
        wanted = " or ".join({3: "[H, W, 3]", 4: "[T, H, W, 3]", 5: "[B, T, H, W, 3]"}[n] for n in ndim)
        raise ShapeError(
            f"`{name}` must be uint8 {wanted}, got {array.dtype} {list(array.shape)}. "
            "Convert pictures with np.asarray(picture, dtype=np.uint8) and keep the colour axis last."
        )
    return array


def _is_bounded(space: Any) -> bool:
    """Tell whether the bounds of a Box say what its actions are: the largest number of a type stands for none."""
    low, high = np.asarray(space.low), np.asarray(space.high)
    kind = np.dtype(space.dtype)
    limit = 0.99 * float(np.finfo(kind).max) if kind.kind == "f" else 2.0**24  # beyond, float32 skips whole numbers
    bounds = np.concatenate([low.ravel(), high.ravel()]).astype(np.float64)
    return bool(bounds.size and np.isfinite(bounds).all() and (np.abs(bounds) < min(limit, 1e30)).all())


@dataclass(frozen=True)
class ActionSpace:
    """The actions a world takes, and their encoding as vectors of size A.

    kind: "discrete" (one of `nvec[0]` choices), "multi_discrete" (one of `nvec[i]` for each i),
        "multi_binary" (`len(nvec)` switches), "box" (floats between `low` and `high`) or
        "none" (video without actions).
    names: one name per choice (discrete), switch or axis; for display and key bindings.
    whole: of a box: its numbers are whole; `check` rounds others to the nearest.
    """

    kind: str
    nvec: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    whole: bool = field(default=False, metadata={"if_set": True})

    def __post_init__(self) -> None:
        for key in ("nvec", "low", "high", "names"):
            object.__setattr__(self, key, tuple(getattr(self, key)))
        if self.kind not in ("discrete", "multi_discrete", "multi_binary", "box", "none"):
            raise ConfigError(
                f"`action_space.kind` must be discrete, multi_discrete, multi_binary, box or none, "
                f"got {self.kind!r}. Describe the actions with one of these."
            )
        self._check_numbers()

    def _check_numbers(self) -> None:
        """Raise `ConfigError` unless bounds and counts are in range, and names are printable."""
        check_texts(list(self.names), "action_space.names")
        whole = all(1 <= n <= MOST_CHOICES for n in self.nvec) and sum(self.nvec) <= MOST_CHOICES
        if not whole or (self.kind == "discrete" and len(self.nvec) != 1):
            raise ConfigError(
                f"`action_space.nvec` must be counts of choices from 1 to {MOST_CHOICES} in all, got "
                f"{self.nvec!s:.60}. Give one for discrete, one for each action else."
            )
        paired = len(self.low) == len(self.high) <= MOST_CHOICES
        if not paired or not all(
            math.isfinite(a) and math.isfinite(b) and a <= b for a, b in zip(self.low, self.high, strict=True)
        ):
            raise ConfigError(
                f"`action_space.low` and `high` must be as many finite numbers, low below high, got "
                f"{self.low!s:.60} and {self.high!s:.60}. Give both bounds of each number."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one raw action: `()` for discrete, `(n,)` otherwise, `(0,)` for none."""
        if self.kind == "discrete":
            return ()
        return (len(self.low) if self.kind == "box" else len(self.nvec),)

    @property
    def dtype(self) -> np.dtype:
        """Type of one raw action: float32 for boxes, int64 otherwise."""
        return np.dtype(np.float32 if self.kind in ("box", "none") else np.int64)

    @property
    def size(self) -> int:
        """A, the width of an encoded action (1 for "none", always zero)."""
        return {"box": len(self.low), "multi_binary": len(self.nvec), "none": 1}.get(self.kind, sum(self.nvec))

    @property
    def noop(self) -> np.ndarray:
        """The no-op action: the choice called so, else choice 0; no switch; or zero clipped to the box."""
        if self.kind == "box":
            return np.clip(np.zeros(self.shape, np.float32), self.low, self.high).astype(np.float32)
        if self.kind == "discrete":
            plain = ["".join(filter(str.isalpha, name.upper())) for name in self.names[: self.nvec[0]]]
            return np.asarray(next((plain.index(idle) for idle in IDLE_NAMES if idle in plain), 0), self.dtype)
        return np.zeros(self.shape, self.dtype)

    def check(self, actions: Any, lead: tuple[int, ...] | None = None) -> np.ndarray:
        """Return raw `actions` `[*lead, *shape]` as an array, or raise `ActionError`.

        lead: the leading axes expected; None accepts any. Box actions outside the bounds are an
        error and not clipped, since the roll-out would then follow other actions than asked.
        """
        array = np.asarray(actions)
        if array.dtype == object or array.dtype.kind not in "iufb":
            raise ActionError(f"`action` must be numbers, got {actions!r}. {self._wanted(lead)}")
        tail = array.shape[array.ndim - len(self.shape) :] if self.shape else ()
        got_lead = array.shape[: array.ndim - len(self.shape)]
        if tail != self.shape or (lead is not None and got_lead != tuple(lead)):
            raise ActionError(
                f"`action` must have shape {self._axes(lead)}, got {list(array.shape)}. {self._wanted(lead)}"
            )
        if self.kind in ("box", "none"):
            array = array.astype(np.float32)
            slack = 1e-4 * np.maximum(1.0, np.subtract(self.high, self.low)) if self.kind == "box" else 0
            if not np.isfinite(array).all() or (
                self.kind == "box"
                and ((array < np.subtract(self.low, slack)) | (array > np.add(self.high, slack))).any()
            ):
                raise ActionError(
                    f"`action` must lie between {list(self.low)} and {list(self.high)}, got values from "
                    f"{array.min():g} to {array.max():g}. Clip it first."
                )
            return np.rint(array) if self.whole else array
        if array.dtype.kind == "f" and not (array == np.round(array)).all():
            raise ActionError(f"`action` must be whole numbers, got {array.ravel()[:4]}. {self._wanted(lead)}")
        array = array.astype(np.int64)
        top = np.asarray(self.nvec if self.kind != "multi_binary" else (2,) * len(self.nvec))
        top = top[0] if self.kind == "discrete" else top
        if ((array < 0) | (array >= top)).any():
            raise ActionError(
                f"`action` must lie in 0..{int(np.max(top)) - 1}, got values from {array.min()} to {array.max()}. "
                f"{self._wanted(lead)}"
            )
        return array

    def same_actions(self, other: ActionSpace) -> bool:
        """Say whether both take the same raw actions, whatever these are called."""
        return all(getattr(self, part) == getattr(other, part) for part in ("kind", "nvec", "low", "high"))

    def encode(self, actions: Any, lead: tuple[int, ...] | None = None) -> np.ndarray:
        """Turn raw actions `[..., *shape]` into float32 vectors `[..., A]`: one-hot, or scaled to [-1, 1].

        lead: the dimensions before an action's own that there must be; by default any.
        """
        array = self.check(actions, lead)
        lead = array.shape[: array.ndim - len(self.shape)]
        if self.kind == "none":
            return np.zeros((*lead, 1), np.float32)
        if self.kind == "box":
            low, high = np.asarray(self.low, np.float32), np.asarray(self.high, np.float32)
            scaled = (array - low) / np.maximum(high - low, 1e-8) * 2 - 1
            return np.asarray(scaled, np.float32)
        if self.kind == "multi_binary":
            return array.astype(np.float32) * 2 - 1
        flat = array[..., None] if self.kind == "discrete" else array
        parts = [np.eye(n, dtype=np.float32)[flat[..., i]] for i, n in enumerate(self.nvec)]
        return np.concatenate(parts, axis=-1)

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one raw action uniformly; the bounds of a box are drawn too."""
        if self.kind == "box" and self.whole:
            return rng.integers(np.asarray(self.low, int), np.asarray(self.high, int) + 1).astype(np.float32)
        if self.kind == "box":
            return rng.uniform(self.low, self.high).astype(np.float32)
        if self.kind == "none":
            return np.zeros(0, np.float32)
        top = (2,) * len(self.nvec) if self.kind == "multi_binary" else self.nvec
        draw = np.asarray([rng.integers(n) for n in top], dtype=np.int64)
        return draw[0] if self.kind == "discrete" else draw

    @classmethod
    def from_gymnasium(cls, space: Any, names: tuple[str, ...] = ()) -> ActionSpace:
        """Describe a Gymnasium Discrete, MultiDiscrete, MultiBinary or bounded Box space of any shape, or a subclass.

        Choices count from 0 whatever the space's `start` is. A Box of whole numbers becomes switches if it holds zeros
        and ones, choices if no axis has more than `WHOLE_CHOICES` values, else a box of whole numbers; shapes are flat.
        Raises `ActionError`, for bounds that are as good as none too (infinite, or the largest number of their type).
        """
        kinds = [kind.__name__ for kind in type(space).__mro__]  # by name: the spaces of the old gym are these too
        kind = next((kind for kind in kinds if kind in ("Discrete", "MultiDiscrete", "MultiBinary", "Box")), "")
        if kind == "Discrete":
            return cls("discrete", (int(space.n),), names=names)
        if kind == "MultiDiscrete":
            return cls("multi_discrete", tuple(int(n) for n in np.ravel(space.nvec)), names=names)
        if kind == "MultiBinary":
            return cls("multi_binary", (2,) * int(np.prod(space.shape)), names=names)
        if kind == "Box" and _is_bounded(space):
            low, high = np.ravel(space.low).tolist(), np.ravel(space.high).tolist()
            if np.dtype(space.dtype).kind == "f":
                return cls("box", low=tuple(low), high=tuple(high), names=names)
            nvec = tuple(int(b) - int(a) + 1 for a, b in zip(low, high, strict=True))
            if all((a, b) == (0, 1) for a, b in zip(low, high, strict=True)):
                return cls("multi_binary", nvec, names=names)
            if max(nvec) <= WHOLE_CHOICES:
                return cls("multi_discrete", nvec, names=names)
            return cls("box", low=tuple(map(float, low)), high=tuple(map(float, high)), names=names, whole=True)
        got = " ".join(str(space).split())[:160]
        raise ActionError(
            f"`action_space` must be Discrete, MultiDiscrete, MultiBinary or a bounded Box, got {got}. "
            + (
                "Give the Box the bounds that the environment really uses, for example with "
                "gymnasium.wrappers.RescaleAction."
                if kind == "Box"
                else "Wrap the environment so that its actions are one of these."
            )
        )

    def _axes(self, lead: tuple[int, ...] | None) -> str:
        return str([*(lead if lead is not None else ("...",)), *self.shape])

    def _wanted(self, lead: tuple[int, ...] | None) -> str:
        what = {
            "discrete": f"Give one number in 0..{self.nvec[0] - 1 if self.nvec else 0} per frame",
            "multi_discrete": f"Give {len(self.nvec)} numbers below {list(self.nvec)} per frame",
            "multi_binary": f"Give {len(self.nvec)} zeros or ones per frame",
            "box": f"Give {len(self.low)} floats between {list(self.low)} and {list(self.high)} per frame",
            "none": "Give an empty array [..., 0]; this world was trained without actions",
        }[self.kind]
        return what + (f" ({', '.join(self.names)})." if self.names else ".")


@dataclass
class Episode:
    """One uninterrupted recording of T frames.

    frames `[T, H, W, 3]` uint8; actions `[T - 1, *action_space.shape]`; reward `[T - 1]` float32;
    terminated, truncated `[T - 1]` bool; state: simulator values per frame, each `[T, ...]`;
    meta: seed, policy and whatever else identifies it.
    """

    frames: np.ndarray
    actions: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    state: dict[str, np.ndarray] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Step:
    """The result of one step of a world.

    frame: uint8 `[H, W, 3]` (`[B, H, W, 3]` for a batch), or None if not decoded;
    latent: committed latent, a tensor `[B, N, C]`, owned by the state: copy it if you keep it;
    index: number of frames made since `start`;
    reward: float32 `[B]`, predicted for this step, or None while the world does not predict it;
    terminated: bool `[B]`, whether the episode ends with this frame, or None while the world does not predict it.
    """

    frame: np.ndarray | None
    latent: torch.Tensor
    index: int
    reward: np.ndarray | None = None
    terminated: np.ndarray | None = None
