"""A head that warps: what moves is fetched, what is not trusted stays, and parts of a picture are as the whole."""

import pytest
import torch

from worldling.dynamics.loss import ClipBatch, dynamics_loss
from worldling.dynamics.memory import clip_age
from worldling.dynamics.model import Dynamics, DynamicsConfig
from worldling.dynamics.warp import REACH, render
from worldling.errors import ConfigError
from worldling.nn.lattice import snap, to_levels
from worldling.tokenizer.model import Tokenizer, TokenizerConfig
from worldling.types import ActionSpace
from worldling.world import WorldConfig

SHAPE = dict(
    grid=4, channels=8, levels=32, width=32, head_dim=16, backbone="ST", window=4, sinks=1, centered_scores=True
)


@pytest.fixture
def tokenizer():
    """A tokenizer of 4 x 4 tokens of 2 x 2 cells of 4 pixels, which tells colours apart."""
    torch.manual_seed(0)
    tokenizer = (
        Tokenizer(TokenizerConfig(size_px=32, grid=4, channels=8, levels=32, merge=2)).eval().requires_grad_(False)
    )
    for layer in (tokenizer.encoder[0], tokenizer.decoder[0], tokenizer.decoder[-1]):
        torch.nn.init.normal_(layer.weight, std=0.2)
    return tokenizer


@pytest.fixture
def dynamics():
    torch.manual_seed(0)
    return Dynamics(DynamicsConfig(**SHAPE, warp=2)).eval()


def scores(head, latent, shown, cells=None, h=None):
    one = torch.ones(1)
    h = torch.zeros(*latent.shape[:2], 32) if h is None else h
    return head(h, latent, torch.zeros(1, 1, 8), 0 * one, one, cells, shown)


def test_what_is_fetched_without_doubt_is_what_the_moved_picture_would_be(tokenizer, dynamics):
    latent, head = snap(torch.rand(2, 16, 8) * 2 - 1, 32), dynamics.head
    shown = render(tokenizer, latent)
    with torch.no_grad():
        head.warp.flow.bias[:4], head.warp.flow.bias[4:8], head.warp.flow.bias[8:] = 3 / REACH, -1 / REACH, 30.0
        best = head.values[scores(head, latent, shown).argmax(-1)]
        moved = shown.picture.roll((-3, 1), (-1, -2))
    inside = torch.arange(16).view(4, 4)[1:, :3].flatten()  # what rolls around is not what lies on the edge
    assert torch.allclose(best[:, inside], tokenizer.encode(moved)[:, inside], atol=1e-5)
    assert not torch.allclose(best, latent, atol=0.1)


def test_each_part_of_a_token_is_fetched_from_its_own_place(tokenizer, dynamics):
    latent, warp = snap(torch.rand(1, 16, 8) * 2 - 1, 32), dynamics.head.warp
    shown = render(tokenizer, latent)
    with torch.no_grad():
        warp.flow.bias[:] = torch.tensor(
            [0.0] * 3 + [2.0] + [0.0] * 4 + [-30.0] * 3 + [30.0]
        )  # only the last part, from the right
        arrived, picture = warp(torch.zeros(1, 16, 32), latent, shown)
    moves = (arrived - latent).abs().view(1, 16, 2, 4).amax((0, 1, 2)) > 1e-3  # its channels: codes, then parts
    assert moves.tolist() == [False, False, False, True]
    odd = torch.arange(32) // 4 % 2 == 1
    right = shown.picture[..., (torch.arange(32) + int(2 * REACH)).clamp(max=31)]
    assert torch.equal(picture, torch.where(odd & odd[:, None], right, shown.picture))  # the lower right of each token


def test_a_closed_gate_is_a_head_that_does_not_warp(tokenizer, dynamics):
    plain = Dynamics(DynamicsConfig(**SHAPE)).head
    plain.load_state_dict({n: w for n, w in dynamics.head.state_dict().items() if not n.startswith("warp.")})
    latent, h = snap(torch.rand(2, 16, 8) * 2 - 1, 32), torch.randn(2, 16, 32)
    with torch.no_grad():
        dynamics.head.warp.flow.bias[8:] = -100.0
        assert torch.allclose(
            scores(dynamics.head, latent, render(tokenizer, latent), h=h), scores(plain, latent, None, h=h), atol=1e-4
        )


def test_some_cells_are_fetched_as_all_are(tokenizer, dynamics):
    torch.nn.init.normal_(dynamics.head.warp.flow.weight)
    latent, x = snap(torch.rand(6, 16, 8) * 2 - 1, 32), torch.randn(6, 16, 32)
    cells = torch.stack([torch.randperm(16)[:9] for _ in range(2)])
    few = cells.repeat_interleave(3, 0)[..., None]
    given = torch.zeros(6, 16, 1).scatter(1, few, 1.0)  # offsets of cells that are not given are nothing
    some = [t.gather(1, few.expand(-1, -1, t.shape[-1])) for t in (x, latent)]
    with torch.no_grad():
        whole, picture = dynamics.head.warp(x * given, latent, render(tokenizer, latent))
        part, same = dynamics.head.warp(*some, render(tokenizer, latent), cells)
    assert torch.allclose(part, whole.gather(1, few.expand(-1, -1, 8)), atol=1e-5) and torch.allclose(picture, same)
    assert (picture - render(tokenizer, latent).picture).abs().mean() > 0.1


class Pixels:
    """An tokenizer that loses nothing: a token is 2 x 2 pixels."""

    def decode(self, latent):
        return torch.nn.functional.pixel_shuffle(latent.transpose(1, 2).unflatten(2, (8, 8)), 2)

    def bounded(self, images):
        return torch.nn.functional.pixel_unshuffle(images, 2).flatten(2).transpose(1, 2)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_what_scrolls_is_learnt_as_a_flow(share):
    torch.manual_seed(1)
    dynamics, tokenizer = Dynamics(DynamicsConfig(**{**SHAPE, "grid": 8, "channels": 12}, warp=2)), Pixels()
    waves = torch.rand(2, 3, 1, 1) + torch.arange(16).view(16, 1) / 8 + torch.arange(16) / 16
    picture = snap((2 * torch.pi * waves).sin(), 32)
    clip = torch.stack([tokenizer.bounded(picture.roll(t, -1)) for t in range(6)], 1)
    latent, target = clip[:, :-1], to_levels(clip[:, 1:], 32)
    action, age = torch.zeros(2, 5, 1), clip_age(torch.arange(5).expand(2, -1), dynamics.config)
    cells = torch.arange(64).expand(2, -1)[:, : round(64 * share)]
    optimizer, losses = torch.optim.Adam(dynamics.parameters(), 3e-3), []
    for _ in range(40):
        batch = ClipBatch(latent, latent, action, age, target, torch.ones(2, 5, 64))
        loss, _ = dynamics_loss(dynamics, batch, cells if share < 1 else None, tokenizer)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    h, now, one = dynamics.backbone(latent, latent, action, age).flatten(0, 1), latent.flatten(0, 1), torch.ones(1)
    _, fetched = dynamics.head.scores_and_picture(
        h, now, torch.zeros(1, 1, 12), 0 * one, one, None, render(tokenizer, now)
    )
    comes, shown = (tokenizer.decode(x.flatten(0, 1)) for x in (clip[:, 1:], latent))
    given = slice(0, round(16 * share))
    wrong, still = ((made - comes)[..., given, 1:].abs().mean() for made in (fetched, shown))
    assert wrong < 0.3 * still and losses[-1] < 0.5 * losses[0]


def test_parts_that_do_not_divide_the_channels_are_named():
    with pytest.raises(ConfigError, match="`warp` must be 0 or the tokenizer's merge, got 3"):
        DynamicsConfig(warp=3)
    with pytest.raises(ConfigError, match=r"`dynamics.warp` must be 0 or the tokenizer's merge \(1\), got 2"):
        WorldConfig("w", "s", TokenizerConfig(), DynamicsConfig(warp=2), ActionSpace("discrete", (3,)))
