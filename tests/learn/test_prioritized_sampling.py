"""Clips that were hard to predict are drawn more often, and nothing else changes."""

import pytest
import torch

from worldling.learn.clips import Clips
from worldling.learn.prioritized_sampling import PrioritizedSampling

LENGTH = 5


@pytest.fixture
def clips():
    """Two episodes of 30 and 40 frames in which one cell of four changes from each frame to the next."""
    levels = torch.zeros(70, 4, 3, dtype=torch.uint8)
    levels[:, 1, 0] = (torch.arange(70) % 2).to(torch.uint8)
    return Clips(levels, torch.zeros(70, 1), [0, 30, 70], 4)


def rows(clips, count=2000):
    return clips.sample(count, LENGTH, 0, torch.Generator().manual_seed(0))["row"]


def test_what_surprises_is_drawn_more_often_once_renewed(clips):
    surprise, hard = PrioritizedSampling(clips), 50
    before = (rows(clips) == hard).any(1).float().mean()
    nats = torch.ones(1, 70)
    nats[0, hard] = 100.0
    surprise.record(torch.arange(70)[None], nats)
    assert (rows(clips) == hard).any(1).float().mean() == before, "changes gather until they are renewed"
    surprise.apply()
    after = (rows(clips) == hard).any(1).float().mean()
    assert after > 3 * before
    for _ in range(20):
        surprise.record(torch.arange(70)[None], torch.ones(1, 70))
    surprise.apply()
    assert abs((rows(clips) == hard).any(1).float().mean() - before) < 0.03, "what is learnt is ordinary again"


def test_as_surprising_as_usual_keeps_its_worth(clips):
    surprise = PrioritizedSampling(clips)
    surprise.record(torch.arange(10, 20).view(2, 5), torch.full((2, 5), 7.0))
    assert torch.allclose(surprise.latest, surprise.changed)


@pytest.mark.parametrize("still", [False, True])
def test_a_world_that_surprises_no_more_can_still_be_drawn(clips, still):
    if still:
        clips.levels.zero_()
    surprise = PrioritizedSampling(clips)
    surprise.record(torch.arange(70), torch.zeros(70))
    surprise.apply()
    assert clips.priority.isfinite().all() and len(rows(clips)) == 2000


def test_clips_stay_within_their_episodes(clips):
    surprise = PrioritizedSampling(clips)
    surprise.record(torch.tensor([29]), torch.tensor([1000.0]))  # the last row: no frame of its own episode follows
    surprise.apply()
    first, last = rows(clips)[:, 0], rows(clips)[:, -1]
    assert torch.equal(first < 30, last + 1 < 30)


def test_it_survives_a_checkpoint(clips):
    surprise = PrioritizedSampling(clips)
    surprise.record(torch.tensor([3, 40]), torch.tensor([5.0, 1.0]))
    surprise.apply()
    surprise.record(torch.tensor([3, 40]), torch.tensor([1.0, 5.0]))
    kept, drawn = surprise.tensors(), rows(clips)
    again = Clips(clips.levels, clips.action, clips.offsets, clips.num_levels)
    other = PrioritizedSampling(again)
    other.restore({})
    assert not torch.equal(rows(again), drawn)
    other.restore(kept)
    assert torch.equal(rows(again), drawn) and torch.equal(other.latest, surprise.latest)
