"""Sides of pictures and the grids that go with them."""

import pytest

from worldling.data.picture_sizes import advice, grid_for
from worldling.errors import ConfigError
from worldling.tokenizer.model import TokenizerConfig


@pytest.mark.parametrize("size_px, grid", [(84, 21), (96, 12), (100, 25), (64, 8), (160, 10), (72, 9), (90, None)])
def test_the_grid_that_goes_with_a_side(size_px, grid):
    assert grid_for(size_px) == grid
    if grid:
        assert TokenizerConfig(size_px=size_px, grid=grid).cell_px * grid == size_px


@pytest.mark.parametrize("size_px, says", [(84, "--set grid=21"), (96, "--set grid=12"), (90, "--size-px 88 or 92")])
def test_a_side_that_needs_another_grid_is_told_when_it_is_chosen_and_when_it_is_trained(size_px, says):
    assert says in advice(size_px)
    with pytest.raises(ConfigError, match=says):
        TokenizerConfig(size_px=size_px, grid=8)
    assert advice(64) == advice(256) == ""


def test_cells_that_are_merged_count():
    with pytest.raises(ConfigError, match="--set grid=12"):
        TokenizerConfig(size_px=96, grid=8, merge=2)
