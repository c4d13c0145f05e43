import pytest
import torch

from worldling.errors import ConfigError
from worldling.learn.optimizer import optimizer_for
from worldling.tokenizer.loss import moving_weight, smoothness_loss, tokenizer_loss
from worldling.tokenizer.model import Tokenizer, TokenizerConfig
from worldling.types import float_to_frames, frames_to_float


@pytest.mark.parametrize("size_px,grid", [(64, 8), (64, 4), (128, 8), (256, 8), (256, 16), (512, 8)])
def test_shapes_and_lattice(size_px, grid):
    config = TokenizerConfig(size_px=size_px, grid=grid, channels=8)
    model = Tokenizer(config)
    latent = model.encode(torch.rand(2, 3, size_px, size_px) * 2 - 1)
    assert latent.shape == (2, grid * grid, 8)
    assert torch.allclose((latent + 1) * 1.5, ((latent + 1) * 1.5).round(), atol=1e-5)
    assert model.decode(latent).shape == (2, 3, size_px, size_px)


def test_a_token_is_the_codes_of_its_cells_side_by_side():
    """Merged or not, the same weights make the same codes and the same pictures."""
    apart = Tokenizer(TokenizerConfig(grid=16, channels=12))
    merged = Tokenizer(TokenizerConfig(grid=8, channels=48, merge=2))
    merged.load_state_dict(apart.state_dict())
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    cells, tokens = apart.encode(image).view(2, 16, 16, 12), merged.encode(image)
    assert torch.equal(tokens[:, 8 * 3 + 5].view(2, 12, 2, 2).permute(0, 2, 3, 1), cells[:, 6:8, 10:12])
    assert torch.equal(merged.decode(tokens), apart.decode(cells.flatten(1, 2)))


@pytest.mark.parametrize("merge,channels", [(0, 32), (2, 30)])
def test_tokens_that_cannot_be_merged_are_errors(merge, channels):
    with pytest.raises(ConfigError, match="merge"):
        TokenizerConfig(merge=merge, channels=channels, size_px=64 * max(merge, 1))


@pytest.mark.parametrize("levels", [1, 257])
def test_levels_that_cannot_be_are_errors(levels):
    with pytest.raises(ConfigError, match="levels"):
        TokenizerConfig(levels=levels)


def test_a_cell_sees_little_beyond_itself():
    torch.manual_seed(0)
    model = Tokenizer(TokenizerConfig())
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    other = image.clone()
    other[:, :, :8, :8] = -other[:, :, :8, :8]
    changed = (model.bounded(image) != model.bounded(other)).any(-1)[0].view(8, 8)
    assert changed[0, 0]
    assert not changed[2:].any() and not changed[:, 2:].any()


@pytest.mark.parametrize("size_px,grid", [(100, 8), (32, 16), (64, 3)])
def test_impossible_sizes_are_errors(size_px, grid):
    with pytest.raises(ConfigError, match="size_px"):
        TokenizerConfig(size_px=size_px, grid=grid)


def test_moving_pixels_weigh_as_much_as_still_ones():
    images, mean = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    images[..., 10:20, 10:20] = 0.5
    weight = moving_weight(images, mean)
    assert (weight - 1).sum() == pytest.approx(64 * 64)


def test_frames_survive_the_one_conversion():
    frames = torch.arange(256, dtype=torch.uint8).repeat(3 * 64 // 4)[: 64 * 64 * 3].view(64, 64, 3)
    assert torch.equal(float_to_frames(frames_to_float(frames)), frames)


def test_it_learns_a_picture():
    torch.manual_seed(0)
    model = Tokenizer(TokenizerConfig())
    images = (torch.rand(4, 3, 8, 8) * 2 - 1).repeat_interleave(8, 2).repeat_interleave(8, 3).contiguous()
    optimizer = optimizer_for(model, 4e-3)
    errors = []
    for _ in range(60):
        loss, error = tokenizer_loss(
            model, images.unflatten(0, (2, 2)), images.mean(0).expand(2, -1, -1, -1), 0.02, 0.0, 8
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.3 * errors[0]


def test_it_learns_on_a_coarse_lattice_or_on_its_own():
    model, images = Tokenizer(TokenizerConfig(levels=32)), torch.rand(4, 3, 64, 64) * 2 - 1
    pairs, usual = images.unflatten(0, (2, 2)), images[:2]
    fine, finer, coarse = (
        tokenizer_loss(model, pairs, usual, 0.0, 0.0, max_levels=levels)[1] for levels in (32, 256, 8)
    )
    assert torch.equal(fine, (model.decode(model.encode(images)) - images).square().mean()), "what it will be used for"
    assert torch.equal(fine, finer) and not torch.equal(fine, coarse)


def test_smoothness_counts_change_for_each_cell_that_moves():
    images = torch.zeros(1, 2, 3, 64, 64)
    images[0, 1, :, :8] = 1  # one row of eight cells moves
    bounded = torch.zeros(1, 2, 64, 5)
    assert smoothness_loss(bounded, images) == 0
    bounded[0, 1, :8] = 0.5  # and each of their channels by a half
    assert torch.isclose(smoothness_loss(bounded, images), torch.tensor(0.25))


@pytest.mark.slow
def test_a_calm_code_changes_less_at_the_same_picture():
    """One dot that moves by a pixel at a time: with a price on change, fewer levels change, and it is still drawn."""
    dots = torch.full((24, 3, 64, 64), -1.0)
    for i, dot in enumerate(dots):
        dot[:, 30:36, 20 + i : 26 + i] = 1
    pairs = torch.stack([dots[:-1], dots[1:]], 1)
    changes, errors = [], []
    for calm in (0.0, 3.0):
        torch.manual_seed(0)
        model = Tokenizer(TokenizerConfig())
        optimizer = optimizer_for(model, 4e-3)
        for _ in range(150):
            loss, _error = tokenizer_loss(
                model, pairs[torch.randperm(23)[:4]], dots.mean(0).expand(4, -1, -1, -1), 0.0, calm, 8
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            latent = model.encode(dots)
            changes.append((latent[1:] != latent[:-1]).float().mean())
            errors.append((model.decode(latent) - dots).square().mean())
    blank = (dots - dots.mean(0)).square().mean()
    assert changes[1] < 0.7 * changes[0] and max(errors) < 0.5 * blank, (changes, errors, blank)
