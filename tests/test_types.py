import numpy as np
import pytest

from worldling.errors import ActionError
from worldling.types import ActionSpace

SPACES = {
    "discrete": (ActionSpace("discrete", (4,)), 2, (), 4),
    "multi_discrete": (ActionSpace("multi_discrete", (2, 3)), [1, 2], (2,), 5),
    "multi_binary": (ActionSpace("multi_binary", (2, 2, 2)), [1, 0, 1], (3,), 3),
    "box": (ActionSpace("box", low=(-1, 0), high=(1, 512)), [0.5, 256.0], (2,), 2),
    "none": (ActionSpace("none"), [], (0,), 1),
}


@pytest.mark.parametrize("kind", SPACES)
def test_shapes_and_ranges(kind):
    space, action, shape, size = SPACES[kind]
    assert space.shape == shape and space.size == size
    vector = space.encode(action)
    assert vector.shape == (size,) and np.abs(vector).max() <= 1
    clip = np.broadcast_to(np.asarray(action, space.dtype), (2, 5, *shape))
    assert np.array_equal(space.encode(clip), np.broadcast_to(vector, (2, 5, size)))
    assert space.encode(np.zeros((1, 0, *shape), space.dtype)).shape == (1, 0, size)
    rng = np.random.default_rng(0)
    for _ in range(20):
        space.check(space.sample(rng), ())
    space.check(space.noop, ())


@pytest.mark.parametrize(
    "names, noop", [((), 0), (("LEFT", "Idle", "RIGHT"), 1), (("a", "stay", "no-op"), 2), (("x", "y", "z"), 0)]
)
def test_the_no_op_is_the_choice_called_so(names, noop):
    assert ActionSpace("discrete", (3,), names=names).noop == noop


def test_different_actions_have_different_vectors():
    space = SPACES["multi_discrete"][0]
    vectors = {tuple(space.encode([a, b])) for a in range(2) for b in range(3)}
    assert len(vectors) == 6


@pytest.mark.parametrize(
    "kind,action",
    [
        ("discrete", 4),
        ("discrete", -1),
        ("discrete", [1]),
        ("discrete", 1.5),
        ("multi_discrete", [1, 3]),
        ("multi_discrete", [1]),
        ("multi_binary", [0, 1, 2]),
        ("box", [0, 513]),
        ("box", [np.nan, 0]),
        ("box", [0]),
        ("none", [1]),
        ("discrete", "left"),
        ("box", None),
    ],
)
def test_foreign_actions_are_told(kind, action):
    with pytest.raises(ActionError, match="`action` must"):
        SPACES[kind][0].check(action, ())


def test_gymnasium_spaces_are_understood():
    spaces = pytest.importorskip("gymnasium").spaces
    assert ActionSpace.from_gymnasium(spaces.Discrete(3)).nvec == (3,)
    assert ActionSpace.from_gymnasium(spaces.MultiDiscrete([2, 3])).nvec == (2, 3)
    assert ActionSpace.from_gymnasium(spaces.MultiBinary(4)).size == 4
    assert ActionSpace.from_gymnasium(spaces.Box(-1, 1, (2,))).high == (1, 1)
    with pytest.raises(ActionError, match="bounded"):
        ActionSpace.from_gymnasium(spaces.Box(-np.inf, np.inf, (2,)))
