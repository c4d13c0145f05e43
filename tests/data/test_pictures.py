"""What environments draw, in every type and shape: the same picture, or the true cause."""

import numpy as np
import pytest

from worldling.data.environment import open_environment
from worldling.data.pictures import Pictures
from worldling.errors import EnvError

ODD = "odd_environments:worldling_odd/Odd-v0"


@pytest.mark.parametrize(
    "draws",
    [
        "uint8",
        "unit",
        "unit64",
        "floats",
        "int64",
        "uint16",
        "rgba",
        "first",
        "list",
        "batch",
        "observed first",
        "observed floats",
    ],
)
def test_the_same_picture_comes_of_every_type_and_shape(draws):
    env = open_environment(ODD, 64, env_kwargs={"draws": draws})
    frame = env.reset(0)
    assert frame.dtype == np.uint8 and np.array_equal(frame, env.raw.unwrapped.picture())
    assert np.array_equal(env.step(1).frame, env.raw.unwrapped.picture())


@pytest.mark.parametrize("draws", ["grey", "grey layer", "observed grey"])
def test_grey_is_shown_in_all_colours(draws):
    env = open_environment(ODD, 64, env_kwargs={"draws": draws})
    assert np.array_equal(env.reset(0), np.repeat(env.raw.unwrapped.picture()[..., :1], 3, -1))


def test_black_and_white_are_0_and_255():
    env = open_environment(ODD, 64, env_kwargs={"draws": "bool"})
    assert np.array_equal(env.reset(0), (env.raw.unwrapped.picture() > 100) * np.uint8(255))


@pytest.mark.parametrize(
    "draws, cause",
    [
        ("deep", "uint16 from 5140 to 64250"),
        ("signed", "float64 from -0.8"),
        ("nan", "NaN"),
        ("two layers", r"\[64, 64, 2\]"),
        ("stack", r"\[4, 64, 64, 3\]"),
        ("text", "a str"),
        ("nothing", "must draw pixels"),
    ],
)
def test_what_is_no_clear_picture_is_told_in_one_line(draws, cause):
    with pytest.raises(EnvError, match=cause) as caught:
        open_environment(ODD, 64, env_kwargs={"draws": draws}).reset(0)
    assert "\n" not in str(caught.value)


def test_an_environment_that_draws_nothing_names_its_render_modes():
    with pytest.raises(EnvError, match=r"modes are \['human', 'ansi'\]"):
        open_environment("odd_environments:worldling_odd/Silent-v0", env_kwargs={"draws": "nothing"}).reset(0)


def test_the_first_picture_that_is_not_black_says_what_floats_mean():
    pictures = Pictures("x")
    dark, grey = np.zeros((4, 5, 3)), np.full((4, 5, 3), 0.5)
    assert pictures.convert(dark).max() == 0 and pictures.convert(grey).max() == 128
    with pytest.raises(EnvError, match="up to 200 after others within 0 to 1"):
        pictures.convert(np.full((4, 5, 3), 200.0))
    other = Pictures("y")
    assert other.convert(np.full((4, 5, 3), 200.0)).max() == 200 and other.convert(grey * 2).max() == 1
