import pytest
import torch

from worldling.dynamics.loss import ClipBatch, Denoising, bootstrap_loss, changing_weight, cross_entropy, dynamics_loss
from worldling.dynamics.memory import clip_age
from worldling.dynamics.model import Dynamics, DynamicsConfig
from worldling.dynamics.sampler import denoise
from worldling.nn.lattice import from_levels, to_levels


def model(passes):
    torch.manual_seed(0)
    return Dynamics(
        DynamicsConfig(
            action_size=1, grid=4, channels=4, width=32, head_dim=16, backbone="ST", window=4, sinks=1, passes=passes
        )
    )


def test_changing_cells_weigh_as_much_as_still_ones():
    values = torch.linspace(-1, 1, 4)
    latent = torch.zeros(1, 1, 16, 4) + values[1]
    target = torch.ones(1, 1, 16, 4, dtype=torch.long)
    target[..., 3, 0] = 2
    weight = changing_weight(target, latent, values)[0, 0]
    assert weight[3] - 1 == pytest.approx(16.0)
    assert (weight[:3] == 1).all()


def test_cross_entropy_and_its_gradient_are_as_torch_has_them():
    scores = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)).mul(4).requires_grad_()
    goal = torch.arange(30).view(2, 3, 5) % 7
    ours, theirs = (
        cross_entropy(scores, goal),
        torch.nn.functional.cross_entropy(scores.flatten(0, 2), goal.flatten(), reduction="none"),
    )
    assert torch.allclose(ours.flatten(), theirs, atol=1e-5)
    first, second = (torch.autograd.grad(loss.square().sum(), scores)[0] for loss in (ours, theirs))
    assert torch.allclose(first, second, atol=1e-4)


@pytest.mark.parametrize("passes", [1, 2, 4])
def test_a_world_that_stands_still_is_learnt(passes):
    dynamics = model(passes)
    latent = (torch.randint(4, (3, 6, 16, 4)) * 2 / 3 - 1)[:, :1].expand(-1, 6, -1, -1)
    action, age = torch.zeros(3, 6, 1), clip_age(torch.arange(6).expand(3, -1), dynamics.config)
    optimizer = torch.optim.Adam(dynamics.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        batch = ClipBatch(latent, latent, action, age, to_levels(latent, 4), torch.ones(3, 6, 16))
        denoising = Denoising(torch.randn(latent.shape), torch.rand(3, 6), bootstrap_rows=4) if passes > 1 else None
        loss, _ = dynamics_loss(dynamics, batch, denoising=denoising)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("passes,taken", [(1, 1), (2, 1), (2, 2), (4, 4)])
def test_what_is_drawn_lies_on_the_lattice_and_follows_the_noise_only_if_it_should(passes, taken):
    dynamics = model(passes)
    torch.nn.init.normal_(dynamics.head.scores.weight)
    torch.nn.init.normal_(dynamics.head.noisy_in.weight)
    h, latent = torch.randn(2, 16, 32), torch.zeros(2, 16, 4) + 1 / 3
    with torch.inference_mode():
        a, b = (denoise(dynamics.head, h, latent, torch.randn(2, 16, 4), taken) for _ in range(2))
    assert torch.allclose(a.mul(1.5).add(1.5), a.mul(1.5).add(1.5).round(), atol=1e-5)
    assert torch.equal(a, b) == (passes == 1)


def test_bootstrap_asks_nothing_of_a_head_that_is_already_straight():
    dynamics = model(4)  # untrained scores ignore the noise: one step lands where two do
    with torch.inference_mode():
        loss = bootstrap_loss(
            dynamics.head,
            torch.randn(5, 16, 32),
            torch.zeros(5, 16, 4),
            torch.ones(5, 16, 4),
            torch.randn(5, 16, 4),
            torch.rand(5),
            steps=1,
        )
    assert loss.item() == pytest.approx(0.0, abs=1e-8)


def heads(levels):
    shape = dict(grid=4, channels=4, levels=levels, width=32, head_dim=16, backbone="ST", window=4, sinks=1)
    torch.manual_seed(0)
    aimed = Dynamics(DynamicsConfig(**shape, centered_scores=True)).head
    plain = Dynamics(DynamicsConfig(**shape)).head
    plain.load_state_dict({name: value for name, value in aimed.state_dict().items() if not name.startswith("aim.")})
    return plain, aimed


def scores_of(head, latent):
    h, one = torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(1)), torch.ones(1)
    return head(h, latent, torch.zeros(1, 1, 4), 0 * one, one)


def test_a_fresh_head_that_aims_leans_towards_no_change_like_any_other():
    plain, aimed = heads(8)
    latent = from_levels(torch.randint(8, (2, 16, 4)), 8)
    assert torch.allclose(scores_of(plain, latent), scores_of(aimed, latent), atol=1e-5)


def test_where_a_head_aims_is_where_its_best_level_lies():
    _, head = heads(32)
    latent = from_levels(torch.full((2, 16, 4), 10), 32)
    with torch.no_grad():
        head.aim.bias[:4] = torch.tensor([0.0, 2 / 31, -6 / 31, 2.0])  # in units of the latent: 0, 1, -3 and 31 levels
    assert (scores_of(head, latent).argmax(-1) == torch.tensor([10, 11, 7, 31])).all()


def test_a_small_step_on_a_fine_lattice_is_no_change():
    values = torch.linspace(-1, 1, 32)
    latent = torch.zeros(1, 1, 16, 4) + values[10]
    target = torch.full((1, 1, 16, 4), 11)
    target[..., 3, 0] = 13
    weight = changing_weight(target, latent, values)[0, 0]
    assert weight[3] > 1 and (weight[:3] == 1).all()
