"""All errors raised on purpose, as one tree.

    WorldlingError                  anything this package raises on purpose
    ├── ConfigError                 a setting is unknown or out of range
    ├── DataError                   frames, episodes or files are not as expected
    │   ├── DatasetError            a data set is missing, truncated or foreign
    │   └── ShapeError              an array has the wrong shape or dtype
    ├── ActionError                 an action does not belong to the action space
    ├── EnvError                    an environment is unknown, missing or renders no pixels
    │   └── EpisodeError            it raised an exception within an episode
    ├── CheckpointError             a world or training checkpoint is missing, truncated or foreign
    ├── BackendError                an inference backend is not installed or cannot be built
    ├── JudgeError                  a suite cannot be run on this world or data
    ├── ServeError                  a port is taken or a session cannot be opened
    ├── ExportError                 a world cannot be exported
    └── DiskFullError               the disk is full; older files are intact

The form of every message: "`name` must be X, got Y. Do Z."
The command line prints the message as one line and exits with status 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WorldlingError(Exception):
    """Base of every error raised on purpose by this package."""


class ConfigError(WorldlingError):
    """A setting is unknown or out of range."""


class DataError(WorldlingError):
    """Frames, episodes or files are not as expected."""


class DatasetError(DataError):
    """A data set is missing, truncated or foreign."""


class ShapeError(DataError):
    """An array has the wrong shape or dtype."""


class ActionError(WorldlingError):
    """An action does not belong to the action space."""


class EnvError(WorldlingError):
    """An environment is unknown, its package is missing, or it renders no pixels."""


class EpisodeError(EnvError):
    """An environment raised an exception within an episode; the next episode may go well."""


class CheckpointError(WorldlingError):
    """A world or training checkpoint is missing, truncated or foreign."""


class BackendError(WorldlingError):
    """An inference backend is not installed or cannot be built."""


class JudgeError(WorldlingError):
    """A suite cannot be run on this world or data."""


class ServeError(WorldlingError):
    """A port is taken or a session cannot be opened."""


class ExportError(WorldlingError):
    """A world cannot be exported."""


class DiskFullError(WorldlingError):
    """The disk is full; older files are intact."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return a hint that names the choice closest to `name`, or lists a few of them."""
    choices = sorted(choices)
    close = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]!r}?"
    shown = ", ".join(choices[:12]) + (", …" if len(choices) > 12 else "")
    return f"Choose one of: {shown}."
