"""Spoilt histories: what CutMix may touch and what it must leave."""

import pytest
import torch

from worldling.learn.augmentation import PATCH, augment_history, cutmix
from worldling.nn.lattice import from_levels

LEVELS, SINKS, GRID = 4, 2, 4


@pytest.fixture
def batch():
    levels = torch.randint(LEVELS, (6, 13, GRID**2, 3), generator=torch.Generator().manual_seed(0))
    latent = from_levels(levels, LEVELS)
    position = torch.arange(11).repeat(6, 1)
    position[3:, SINKS:] += 20  # half of the clips jump ahead after their sinks
    clips = {"latent": latent[:, 1:-1], "previous": latent[:, :-2], "target": levels[:, 2:], "position": position}
    return {name: tensor.clone() for name, tensor in clips.items()}


def spoilt(batch, seed, share=1.0):
    return cutmix(batch, LEVELS, SINKS, share, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(8))
def test_one_small_patch_of_each_clip_is_wrong_to_its_end(batch, seed):
    latent = spoilt(batch, seed)
    wrong = (latent != batch["latent"]).any(-1)
    assert not wrong[:, :SINKS].any(), "what a dream starts from is true"
    for clip in wrong:
        frames, cells = clip.any(1).nonzero().flatten(), clip.any(0).nonzero().flatten()
        assert len(frames) and frames[-1] == len(clip) - 1
        rows, columns = cells // GRID, cells % GRID
        assert rows.max() - rows.min() < PATCH and columns.max() - columns.min() < PATCH


@pytest.mark.parametrize("seed", range(4))
def test_what_a_patch_shows_was_shown_there_by_some_clip(batch, seed):
    latent = spoilt(batch, seed)
    for cell in range(GRID**2):
        shown = {tuple(row.tolist()) for row in latent[:, :, cell].flatten(0, 1)}
        assert shown <= {tuple(row.tolist()) for row in batch["latent"][:, :, cell].flatten(0, 1)}


def test_previous_is_what_the_frame_before_shows(batch):
    out = augment_history(batch, LEVELS, SINKS, 0.3, 1.0, torch.Generator().manual_seed(0))
    latent, previous = out["latent"], out["previous"]
    assert torch.equal(previous[:, 0], latent[:, 0]), "nothing came before the first"
    for t in range(1, latent.shape[1]):
        rows = slice(None, 3) if t == SINKS else slice(None)
        assert torch.equal(previous[rows, t], latent[rows, t - 1])
    moved = (previous[3:, SINKS] - batch["previous"][3:, SINKS]).abs()
    assert moved.max() < 1, "after a jump it is the frame before, jittered by a level"


def test_no_share_leaves_the_history_and_the_truth_alone(batch):
    out = augment_history(batch, LEVELS, SINKS, 0.0, 0.0, torch.Generator().manual_seed(0))
    for name in ("latent", "target"):
        assert torch.equal(out[name], batch[name])
    assert torch.equal(out["previous"][:, 1:], batch["previous"][:, 1:])
    assert torch.equal(out["clean"], batch["latent"])


def test_targets_stay_true_and_inputs_are_not_written_to(batch):
    before = {name: tensor.clone() for name, tensor in batch.items()}
    out = augment_history(batch, LEVELS, SINKS, 0.3, 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(out["target"], before["target"])
    for name in batch:
        assert torch.equal(batch[name], before[name])


def test_a_single_clip_can_only_be_late(batch):
    alone = {name: tensor[:1] for name, tensor in batch.items()}
    latent = cutmix(alone, LEVELS, SINKS, 1.0, torch.Generator().manual_seed(0))
    assert not torch.equal(latent, alone["latent"])
