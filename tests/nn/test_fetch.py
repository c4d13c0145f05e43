"""Fetching pixels: nothing moves by nothing, whole pixels move whole, and the rest is as torch samples a grid."""

import pytest
import torch
import torch.nn.functional as F

from worldling.nn.fetch import fetch


@pytest.fixture
def picture():
    return torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))


def by(x, y, picture):
    return torch.tensor([x, y]).float().view(1, 2, 1, 1).expand(len(picture), 2, *picture.shape[-2:])


def test_from_no_distance_comes_the_picture_itself(picture):
    assert torch.equal(fetch(picture, by(0, 0, picture)), picture)


def test_whole_pixels_come_whole_and_the_edge_repeats(picture):
    moved = fetch(picture, by(3, -2, picture))
    assert torch.equal(moved[..., 2:, :-3], picture[..., :-2, 3:])
    assert torch.equal(moved[..., :3, :-3], picture[..., :1, 3:].expand(-1, -1, 3, -1))
    assert torch.equal(moved[..., 2:, -3:], picture[..., :-2, -1:].expand(-1, -1, -1, 3))
    assert torch.equal(fetch(picture, by(100, 100, picture)), picture[..., -1:, -1:].expand_as(picture))


def test_it_samples_and_teaches_as_torch_does_on_a_grid(picture):
    offset = (4 * torch.randn(2, 2, 16, 24, generator=torch.Generator().manual_seed(1))).requires_grad_()
    y, x = torch.meshgrid(torch.arange(16) + 0.5, torch.arange(24) + 0.5, indexing="ij")
    there = torch.stack([(x + offset[:, 0]) / 12 - 1, (y + offset[:, 1]) / 8 - 1], -1)
    theirs = F.grid_sample(picture, there, padding_mode="border", align_corners=False)
    ours = fetch(picture, offset)
    assert torch.allclose(ours, theirs, atol=1e-5)
    inside = ((there[..., 0].abs() < 0.9) & (there[..., 1].abs() < 0.85))[
        :, None
    ]  # beyond the edge theirs stops teaching
    first, second = (torch.autograd.grad((made * picture.flip(0) * inside).sum(), offset)[0] for made in (ours, theirs))
    assert torch.allclose(first, second, atol=1e-4)


def test_half_precision_knows_where_the_far_edge_is():
    row = torch.arange(64.0).expand(1, 1, 64, 64)
    half = fetch(
        row.bfloat16(), torch.full((1, 2, 64, 64), 0.25).bfloat16()
    )  # 63.25 is a number in bf16, 64.125 is not
    assert half.dtype == torch.bfloat16 and torch.equal(half[..., :-1].float(), row[..., :-1] + 0.25)
