"""Environments by name: an id that Gymnasium knows, module:id, or the code of your own.

Three forms, the same wherever an environment is named:

    CartPole-v1             a registered id
    my_game:MyGame-v0       a module that registers it, looked for in the folder one is in too
    my_game.py:MyGame       a class or function in a file, which makes the environment (module:MyGame works too)

Code of your own runs when it is named, so only what the user wrote may be given here: `runs_code` tells.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from worldling.data import simulators
from worldling.errors import ConfigError, EnvError, WorldlingError, nearest
from worldling.plugin import load_module

FORMS = (
    "Name an id (CartPole-v1), a module that registers one (my_game:MyGame-v0) or a file and what makes it "
    "(my_game.py:MyGame)."
)


def runs_code(env_id: str) -> bool:
    """Say whether opening `env_id` imports code of the user's, and not only what is registered already."""
    return ":" in env_id or env_id.endswith(".py")


def canonical(env_id: str) -> str:
    """Name an environment as data sets and worlds do: a file without its folder, which differs between machines."""
    place, colon, name = env_id.rpartition(":")
    return f"{Path(place).name}:{name}" if colon and place.endswith(".py") else env_id


def find_spec(env_id: str) -> Any:
    """Return the Gymnasium spec of `env_id`, in one of the three forms, importing what it names.

    Raises `EnvError` if there is no such file, module or environment, or if the code fails.
    """
    import gymnasium

    from worldling.data.old_gym import adapted

    place, _, name = env_id.rpartition(":")
    if name.endswith(".py"):  # no colon, or that of a drive
        place, name = env_id, ""
    if not place:
        return _registered(env_id)
    with suppress(EnvError):  # if it is a package we know, importing it is quiet
        simulators.register(name)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*Overriding environment")  # a file that was changed runs again
            module = load_module(place, env_id, "env_id")
    except ConfigError as error:
        raise EnvError(f"{error} {FORMS}") from None
    except WorldlingError:
        raise
    except Exception as error:
        raise own_fault(env_id, error) from None
    with suppress(gymnasium.error.Error):
        return gymnasium.spec(name)
    made_by = getattr(module, name, None)
    if callable(made_by):
        ready = isinstance(made_by, type) and issubclass(made_by, gymnasium.Env)
        make: Any = made_by if ready else adapted(made_by)
        return gymnasium.envs.registration.EnvSpec(name, entry_point=make)
    choices = [choice for choice in _offered(module) if choice != name]
    hint = nearest(name, choices) if name and choices else _example(place, choices)
    raise EnvError(f"`env_id` must name an environment in {place}, got {env_id!r}. {hint} {FORMS}")


def accepts(make: Callable[..., Any], keyword: str) -> bool:
    """Say whether a class or function takes `keyword`; True if that cannot be known."""
    import inspect

    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):
        return True
    return keyword in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def own_fault(env_id: str, error: Exception) -> EnvError:
    """Build the error for code of the user's that failed, naming the line."""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{Path(error.filename).name}, line {error.lineno}"
    else:
        steps = traceback.extract_tb(error.__traceback__)
        theirs = [step for step in steps if not _is_ours_or_installed(step.filename)]
        last = (theirs or steps)[-1]
        where = f"{Path(last.filename).name}, line {last.lineno}"
    says = (str(error).splitlines() or [""])[0].partition(" (")[0]
    return EnvError(
        f"`env_id` must be an environment that opens, got {env_id!r}, which raised {type(error).__name__}: "
        f"{says} ({where}). Mend it there."
    )


def _is_ours_or_installed(name: str) -> bool:
    file = Path(name)
    inside = "site-packages" in file.parts or Path(__file__).resolve().parents[1] in file.resolve().parents
    return inside or name.startswith("<frozen ")


def _registered(env_id: str) -> Any:
    import gymnasium

    simulators.register(env_id)
    try:
        return gymnasium.spec(env_id)
    except gymnasium.error.Error:
        simulators.check_installed(env_id)
        for simulator in simulators.SIMULATORS:
            for prefix in simulator.prefixes if simulator.extra else ():
                with suppress(EnvError):  # Atari's older ids begin with no word of its own; others give a better hint
                    simulators.register(prefix)
        with suppress(gymnasium.error.Error):
            return gymnasium.spec(env_id)
        spaced = [known for known in gymnasium.registry if known.partition("/")[2] == env_id]
        hint = nearest(env_id, spaced or gymnasium.registry)
        hint = hint if hint.startswith("Did you mean") else ""  # a dozen ids out of a thousand help nobody
        raise EnvError(
            f"`env_id` must be an environment's name, got {env_id!r}. {' '.join(filter(None, (hint, FORMS)))}"
        ) from None


def _offered(module: ModuleType) -> list[str]:
    """Return what in a module makes environments: its classes of them, and ids that it registered."""
    import gymnasium

    def within(place: str) -> bool:
        return place == module.__name__ or place.startswith(f"{module.__name__}.")

    def makes(value: Any) -> bool:
        return issubclass(value, gymnasium.Env) or all(hasattr(value, name) for name in ("reset", "step"))

    classes = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and within(value.__module__) and makes(value)
    ]
    return classes + [
        name
        for name, spec in gymnasium.registry.items()
        if spec.entry_point in (getattr(module, c) for c in classes)
        or (isinstance(spec.entry_point, str) and within(spec.entry_point.partition(":")[0]))
    ]


def _example(place: str, choices: list[str]) -> str:
    return f"Did you mean {place + ':' + choices[0]!r}?" if choices else "It has none."
