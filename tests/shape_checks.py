"""What checks shapes while tests run: beartype on annotations such as `UInt8[np.ndarray, "H W 3"]`, and on no others.

pyproject.toml names this file and the packages it applies to (`--jaxtyping-packages`). The other annotations are mypy's
to check: it knows that a whole number may stand for a float.
"""

import typing

import beartype
import jaxtyping


def shapes_only(function):
    """Return `function` with its annotations of shapes checked at every call."""
    shapes = {name: hint for name, hint in getattr(function, "__annotations__", {}).items() if names_a_shape(hint)}
    if not shapes:
        return function
    function.__annotations__ = shapes
    return beartype.beartype(function)


def names_a_shape(hint):
    """Say whether an annotation is one of jaxtyping's, or has one in it."""
    if isinstance(hint, str):  # names that are imported for type checkers only cannot be looked up
        return False
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(names_a_shape(part) for part in typing.get_args(hint))
