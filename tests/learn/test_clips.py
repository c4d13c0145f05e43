"""Clips: drawn within their episodes, and more often where more happens."""

import torch

from worldling.dynamics.loss import only
from worldling.learn.clips import Clips, busiest


def test_clips_follow_the_episode_and_jump_only_from_their_sinks():
    levels = torch.arange(60, dtype=torch.uint8).view(60, 1, 1) % 4
    clips = Clips(levels, torch.arange(60.0)[:, None], [0, 25, 60], 4)
    batch = clips.sample(64, 8, 2, torch.Generator().manual_seed(0))
    jumped = 0
    for action, position, target in zip(
        batch["action"][..., 0], batch["position"], batch["target"][..., 0, 0], strict=False
    ):
        assert torch.equal(action - action[0], position.float())  # rows and positions advance together
        assert (action < 25).all() or (action >= 25).all()
        assert torch.equal(target, (action.long() + 1) % 4)
        steps = position.diff()
        jumped += bool((steps[1] > 1).item())
        assert (steps[[0, 2, 3, 4, 5, 6]] == 1).all()
    assert jumped > 5


def test_clips_where_more_happens_are_drawn_more_often():
    levels = torch.zeros(400, 4, 1, dtype=torch.uint8)
    levels[:200, :, 0] = torch.arange(200)[:, None] % 4  # all four cells change; afterwards none does
    rows = Clips(levels, torch.zeros(400, 1), [0, 200, 400], 4).sample(500, 8, 2, torch.Generator().manual_seed(0))[
        "row"
    ]
    still = (rows[:, -1] >= 200).float().mean()
    assert 0.05 < still < 0.25  # a quarter of the mean for every clip, and the rest by what happens


def test_on_a_fine_lattice_a_cell_changes_by_more_than_a_level():
    levels = torch.tensor([0, 1, 2, 5, 5, 9], dtype=torch.uint8).view(6, 1, 1)
    assert Clips(levels, torch.zeros(6, 1), [0, 6], 8).changed().tolist() == [1, 1, 1, 0, 1]
    assert Clips(levels, torch.zeros(6, 1), [0, 6], 32).changed().tolist() == [0, 0, 1, 0, 1]


def test_the_busiest_cells_are_given_and_nothing_else():
    weight = torch.zeros(2, 3, 6)
    weight[0, 1, 4], weight[0, :, 2], weight[1, 2, 0], weight[1, 0, 5] = 2.0, 1.0, 1.0, 1.0
    cells = busiest(weight, 2)
    assert cells.tolist() == [[2, 4], [0, 5]]
    number = torch.arange(6.0).expand(2, 3, 6)
    for part in only(cells, number, number[..., None].expand(-1, -1, -1, 7)):
        assert torch.equal(part.reshape(2, 3, 2, -1)[..., 0], cells[:, None].expand(-1, 3, -1).float())
