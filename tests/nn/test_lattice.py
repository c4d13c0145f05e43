import torch

from worldling.nn.lattice import from_levels, jitter, level_values, snap, to_levels


def test_levels_and_values_are_inverse():
    for levels in (2, 3, 4, 7):
        index = torch.arange(levels)
        assert torch.equal(to_levels(from_levels(index, levels), levels), index)
        assert torch.allclose(from_levels(index, levels), level_values(levels), atol=1e-6)


def test_snap_is_idempotent_and_nearest():
    x = torch.rand(1000) * 2 - 1
    once = snap(x, 4)
    assert torch.equal(snap(once, 4), once)
    assert (x - once).abs().max() <= 1 / 3 + 1e-6


def test_snap_lets_gradients_through():
    x = torch.zeros(5, requires_grad=True)
    snap(x, 4).sum().backward()
    assert torch.equal(x.grad, torch.ones(5))


def test_jitter_stays_on_the_lattice_and_keeps_its_rate():
    x = snap(torch.rand(20000) * 2 - 1, 4)
    moved = jitter(x, 4, 0.1, torch.Generator().manual_seed(0))
    assert torch.allclose(snap(moved, 4), moved, atol=1e-6)
    share = (moved != x).float().mean()  # moves past the ends are clamped, so a little less than the rate
    assert 0.06 < share <= 0.11
    assert torch.equal(jitter(x, 4, 0.0), x)
