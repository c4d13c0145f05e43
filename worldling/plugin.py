"""Import user code by name: `module:callable`, or `file.py:callable` for any file."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from worldling.errors import ConfigError, nearest


def names_code(text: str) -> bool:
    """Return whether `text` looks like the name of a callable, not like a folder or a plain name."""
    module, _, name = text.rpartition(":")
    return text.endswith(".py") or (bool(module) and name.isidentifier() and not Path(text).exists())


def load_callable(text: str, name: str) -> Callable[..., Any]:
    """Import the callable that `text` names; name: the setting it is given for, used in errors.

    Modules are also searched in the current folder; a file can import the files next to it.
    Raises `ConfigError` if there is no such file, module or callable. Errors in the code itself are not caught, so
    that the traceback shows the line.
    """
    place, _, attribute = text.rpartition(":")
    if not place:
        raise ConfigError(
            f"`{name}` must be module:callable or file.py:callable, got {text!r}. Name what to call in it."
        )
    module = load_module(place, text, name)
    found: Callable[..., Any] | None = getattr(module, attribute, None)
    if found is None or not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ConfigError(f"`{name}` must name a callable, got {text!r}. {nearest(attribute, known)}")
    return found


def load_module(place: str, text: str, name: str) -> ModuleType:
    """Import a module by its name, or a file.py anywhere, which runs once unless it was changed.

    text: what the user wrote, and name: the setting it was given for, said in errors. Raises `ConfigError`.
    """
    try:
        return _from_file(Path(place), name) if place.endswith(".py") else _from_path(place)
    except ImportError as error:
        raise ConfigError(
            f"`{name}` must name an importable module, got {text!r} ({error}). Check the name and PYTHONPATH."
        ) from None


class CallablePackage(ModuleType):
    """A folder of the package that is also a function: `worldling.train(...)` beside `worldling.train.train`."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function that the folder stands for, loaded when first called."""
        return load_callable(self.__dict__["_stands_for"], "name")(*arguments, **named)


def make_callable(package: str, function: str) -> None:
    """Let the loaded package called `package` be called as `function`, a module:callable."""
    module = sys.modules[package]
    module._stands_for = function  # type: ignore[attr-defined]
    module.__class__ = CallablePackage


def _from_path(module: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # an installed command does not search the current folder by itself
    return importlib.import_module(module)


def _from_file(path: Path, name: str) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"`{name}` must name an existing file, got {str(path)!r}. Check the path.")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    full = str(path.resolve())  # its name too, so that a file called json.py is not taken for another json
    changed_ns = path.stat().st_mtime_ns
    before = sys.modules.get(full)
    if before is not None and getattr(before, "_worldling_changed_ns", None) == changed_ns:
        return before  # run once: what it registers would be registered twice
    spec = importlib.util.spec_from_file_location(full, path)
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = sys.modules[full] = importlib.util.module_from_spec(spec)  # dataclasses look for it there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[full]
        raise
    module._worldling_changed_ns = changed_ns  # type: ignore[attr-defined]
    return module
