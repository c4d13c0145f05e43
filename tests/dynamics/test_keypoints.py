"""Keypoints: where they are found, how they move, and what the painter makes of them."""

import dataclasses
import itertools
import math

import pytest
import torch

from worldling.dynamics.keypoints import GROUPS, OCTAVES, Keypoints, Motion, Sines, patches, rigid_groups, seen, turned
from worldling.dynamics.model import Dynamics, DynamicsConfig
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
    with torch.no_grad():
        for network, turning in itertools.product((motion.free, motion.touch), range(GROUPS)):
            torch.nn.init.normal_(network[turning].out.weight[:4])
        motion.groups.copy_(torch.eye(GROUPS)[[0, 0, 0, 1, 1]])
    points = torch.rand(4, 5, 2) * 2 - 1
    following, alone = motion(points, points + 0.01, torch.rand(4, 2))
    assert not alone.any() and (following - points).abs().max() > 0.05
    for group in (slice(0, 3), slice(3, 5)):
        before, after = (torch.cdist(p[:, group], p[:, group]) for p in (points, following))
        assert torch.allclose(before, after, atol=1e-4)
    assert not torch.allclose(torch.cdist(points, points), torch.cdist(following, following), atol=1e-2)


def test_a_push_is_the_same_wherever_it_is_given():
    """What is touched is told of it in its own frame: a scene that is turned and shifted moves turned and shifted."""
    torch.manual_seed(3)
    motion = Motion(count=5, action_size=2)
    with torch.no_grad():
        for group in range(GROUPS):
            torch.nn.init.normal_(motion.touch[group].out.weight)
            motion.touch[group].rise.weight[:, -4:] = 0  # but for the walls, which it may know by its place
        motion.groups.copy_(torch.eye(GROUPS)[[0, 0, 0, 1, 1]])
    points, angle = torch.rand(4, 5, 2) - 0.5, torch.rand(4, 1, 1) * 6
    elsewhere = turned(points, angle.cos(), angle.sin()) + 0.1
    (here, _), (there, _) = (motion(p, p, torch.zeros(4, 2)) for p in (points, elsewhere))
    assert (here - points).abs().max() > 0.05
    assert (turned(here, angle.cos(), angle.sin()) + 0.1 - there).abs().max() < 0.02 * (here - points).abs().max()


def test_points_that_keep_their_distance_are_a_group():
    torch.manual_seed(2)
    still, angle = torch.rand(1, 7, 2) - 0.5, torch.rand(300, 1, 1) * 6
    points = still + 0.002 * torch.randn(300, 7, 2)
    points[:, [0, 3, 5]] = turned(points[:, [0, 3, 5]], angle.cos(), angle.sin()) + 0.2 * torch.randn(300, 1, 2)
    points[:, 6] += 0.3 * torch.randn(300, 2)
    points[7, 0] += 5.0  # once on something else
    points[77, 1] -= 5.0
    groups = rigid_groups(points)
    assert groups.shape == (7, GROUPS) and (groups.sum(1) == 1).all()
    assert {frozenset(column.nonzero().flatten().tolist()) for column in groups.t()} - {frozenset()} == {
        frozenset({0, 3, 5}),
        frozenset({1, 2, 4}),
        frozenset({6}),
    }


@pytest.mark.parametrize("most", [1, 4, 8])
def test_there_are_never_more_groups_than_the_motion_has(most):
    torch.manual_seed(3)
    groups = rigid_groups(torch.rand(50, 9, 2), most)
    assert groups.shape == (9, most) and groups.sum(1).tolist() == [1] * 9 and (groups.sum(0) > 0).all()


def test_a_world_has_as_many_groups_as_it_says():
    config = DynamicsConfig(grid=4, channels=4, width=32, head_dim=16, keypoints=5, keypoint_groups=7)
    assert Dynamics(config).keypoints.motion.groups.shape == (5, 7)
    assert Dynamics(dataclasses.replace(config, keypoint_groups=0)).keypoints.motion.groups.shape == (5, GROUPS)
    with pytest.raises(ConfigError, match="`keypoint_groups` must be 0 to 16, got 17"):
        dataclasses.replace(config, keypoint_groups=17)


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
