"""While tests run, shapes in annotations are checked, and nothing else."""

import numpy as np
import pytest
from jaxtyping import Float, TypeCheckError, jaxtyped
from shape_checks import names_a_shape, shapes_only

from worldling.data.environment import shrink
from worldling.scenes.lorenz import project


def test_a_wrong_shape_is_an_error_at_the_call():
    assert shrink(np.zeros((32, 48, 3), np.uint8), 16).shape == (16, 16, 3)
    with pytest.raises(TypeCheckError):
        shrink(np.zeros((32, 48, 4), np.uint8), 16)
    with pytest.raises(TypeCheckError):
        shrink(np.zeros((32, 48, 3), np.float32), 16)


def test_shapes_inside_a_tuple_count():
    assert [place.shape for place in project(np.zeros((5, 3)))] == [(5, 2), (5, 2)]
    with pytest.raises(TypeCheckError):
        project(np.zeros((5, 4)))


def test_axes_of_one_name_agree():
    @jaxtyped(typechecker=shapes_only)
    def add(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"], scale: float = 1) -> Float[np.ndarray, " n"]:
        return scale * (a + b)

    assert add(np.ones(3), np.ones(3), 2).sum() == 12, "a whole number where a float is asked for is mypy's business"
    with pytest.raises(TypeCheckError):
        add(np.ones(3), np.ones(1))


def test_what_is_checked():
    shape = Float[np.ndarray, " n"]
    assert names_a_shape(shape) and names_a_shape(shape | None) and names_a_shape(tuple[shape, int])
    assert not names_a_shape(int) and not names_a_shape(np.ndarray) and not names_a_shape("later")
