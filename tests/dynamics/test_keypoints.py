"""Keypoints: where they are found, how they move, and what the painter makes of them."""

import math

import pytest
import torch

from worldling.dynamics.keypoints import GROUPS, OCTAVES, Keypoints, Motion, Sines, patches, rigid_error, seen, turned
from worldling.dynamics.model import DynamicsConfig
from worldling.errors import ConfigError


@pytest.fixture
def keypoints():
    torch.manual_seed(0)
    return Keypoints(count=6, grid=8, action_size=2)


@pytest.mark.parametrize("size", [32, 64, 256])
def test_points_lie_in_the_picture_and_follow_a_single_spot(keypoints, size):
    spot = torch.zeros(1, 3, size, size)
    assert keypoints.finder(spot).abs().max() < 1
    # maps that answer to brightness alone: the soft argmax is the spot's place
    finder = keypoints.finder
    finder.maps.forward = lambda x: torch.full((1, 6, 16, 16), -9.0).index_put(
        (torch.tensor([0]), torch.tensor([2]), torch.tensor([3]), torch.tensor([12])), torch.tensor(30.0)
    )
    assert torch.allclose(finder(spot)[0, 2], torch.tensor([(2 * 12 + 1) / 16 - 1, (2 * 3 + 1) / 16 - 1]), atol=1e-4)


def test_a_group_keeps_its_shape_whatever_the_motion_says():
    torch.manual_seed(1)
    motion = Motion(count=5, action_size=2)
    torch.nn.init.normal_(motion.rigid.weight, std=1.0)
    with torch.no_grad():
        motion.member.copy_(4 * torch.eye(GROUPS)[torch.tensor([0, 0, 0, 1, 1])])
    points = torch.rand(4, 5, 2) * 2 - 1
    following, alone = motion(points, points + 0.01, torch.rand(4, 2))
    assert not alone.any() and (following - points).abs().max() > 0.05
    for group in (slice(0, 3), slice(3, 5)):
        before, after = (torch.cdist(p[:, group], p[:, group]) for p in (points, following))
        assert torch.allclose(before, after, atol=1e-4)
    assert not torch.allclose(torch.cdist(points, points), torch.cdist(following, following), atol=1e-2)


def test_rigid_groups_have_no_error_and_bent_ones_the_same_at_any_size():
    torch.manual_seed(2)
    groups = torch.eye(2)[[0, 0, 0, 1, 1, 1]]
    points, angle = torch.rand(7, 6, 2) - 0.5, torch.rand(7, 1, 1) * 6
    moved = torch.cat([turned(points[:, :3], angle.cos(), angle.sin()) + 0.3, points[:, 3:] - 0.2], 1)
    assert rigid_error(points, moved, groups).max() < 1e-4
    bent = moved + torch.tensor([0.1, 0.0]) * torch.tensor([1, 0, 0, 0, 0, 0])[:, None]
    error = rigid_error(points, bent, groups)
    assert error[:, :3].sum(1).min() > 0.05 and error[:, 3:].max() < 1e-4
    twice = rigid_error(20 * points, 20 * bent, groups)
    assert torch.allclose(twice, rigid_error(40 * points, 40 * bent, groups), rtol=1e-3, atol=1e-5)


def test_untrained_points_stay(keypoints):
    points = torch.rand(3, 2, 6, 2)
    guess = keypoints(points, torch.rand(3, 2))
    assert torch.equal(guess.points[:, 0], points[:, 0]) and torch.equal(guess.points[:, 1], points[:, 0])


def test_cells_alone_are_the_cells_of_the_whole(keypoints):
    points, cells = torch.rand(3, 6, 2) * 2 - 1, torch.tensor([[0, 9], [5, 63], [1, 2]])
    whole, some = keypoints.painter(points), keypoints.painter(points, cells)
    assert torch.allclose(whole.gather(1, cells[..., None].expand_as(some)), some, atol=1e-5)
    assert keypoints.painter.paint(whole).shape == patches(seen(torch.zeros(3, 3, 128, 128)), 8).shape


def test_octaves_come_one_after_the_other():
    sines, x = Sines(), torch.tensor([0.3])
    sines.use(2)
    first = sines(x)
    assert torch.allclose(first[1:3], (math.pi * torch.tensor([0.5, 1.0]) * 0.3).sin()) and not first[3:7].any()
    sines.use(OCTAVES)
    assert torch.equal(sines(x), Sines()(x)) and len(sines(x)) == Sines.SIZE


@pytest.mark.parametrize("wrong", [{"keypoints": -1}, {"keypoints": 65}, {"keypoints": 4, "grid": 12}])
def test_bad_settings_are_told(wrong):
    with pytest.raises(ConfigError, match="`keypoints` must be 0 to 64"):
        DynamicsConfig(**wrong)
