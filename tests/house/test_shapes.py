"""While tests run, shapes in annotations are checked."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from worldling.data.environment import shrink


def test_a_wrong_shape_is_an_error_at_the_call():
    assert shrink(np.zeros((32, 48, 3), np.uint8), 16).shape == (16, 16, 3)
    with pytest.raises(TypeCheckError):
        shrink(np.zeros((32, 48, 4), np.uint8), 16)
    with pytest.raises(TypeCheckError):
        shrink(np.zeros((32, 48, 3), np.float32), 16)
