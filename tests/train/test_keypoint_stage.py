"""What the finder is asked for beside painting: points that turn with the picture."""

import pytest
import torch

from worldling.dynamics.keypoints import centres
from worldling.train.keypoint_stage import turning_error


def spots(count):
    """Pictures [P, 3, 64, 64] of one soft spot each, not far from the middle."""
    places = centres(64).view(64, 64, 2)
    at = 0.8 * torch.rand(count, 1, 1, 2, generator=torch.Generator().manual_seed(1)) - 0.4
    return 2 * (-((places - at) ** 2).sum(-1) / 0.02).exp()[:, None].expand(-1, 3, -1, -1) - 1


def brightest(pictures):
    """The mean place of what is bright, and that twice: two points of one thing."""
    weight = (pictures[:, 0] + 1).flatten(1)
    return ((weight / weight.sum(1, keepdim=True)) @ centres(64))[:, None].expand(-1, 2, -1)


def test_a_point_of_a_thing_turns_with_it_and_one_of_the_frame_does_not():
    pictures = spots(64)
    errors = {}
    for name, finder in {
        "of the spot": brightest,
        "of the frame": lambda pictures: torch.tensor([[0.5, 0.5], [0.5, 0.6]]).expand(len(pictures), -1, -1),
        "above the spot": lambda pictures: brightest(pictures) - torch.tensor([0.0, 0.2]),
    }.items():
        generator = torch.Generator().manual_seed(2)
        errors[name] = float(turning_error(finder, pictures, finder(pictures), generator))
    assert errors["of the spot"] < 0.1
    assert errors["of the frame"] > 2 and errors["above the spot"] > 1


def test_the_error_counts_in_shares_of_the_way_to_the_centre():
    """The same mistake is half as bad in a thing twice as large: points gain nothing by lying close together."""
    pictures, mistake = spots(64), torch.tensor([[[0.03, 0.0]]])
    found = []
    for arm in (0.2, 0.5):
        arms = torch.tensor([[[-arm, 0.0], [arm, 0.0]]])
        angle = {"calls": 0}

        def finder(pictures, arms=arms, angle=angle):
            angle["calls"] += 1
            return brightest(pictures) + arms + (mistake if angle["calls"] > 1 else 0)

        points = finder(pictures)
        # no turn: the only mistake is the finder's
        generator = torch.Generator().manual_seed(3)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("worldling.train.keypoint_stage.torch.pi", 0.0)
            found.append(float(turning_error(finder, pictures, points, generator)))
    assert 1.7 < found[0] / found[1] < 2.3
