"""Roll-outs of the model itself in place of the end of a clip's history."""

import pytest
import torch

from worldling.learn.clips import Clips
from worldling.learn.scheduled_sampling import RolloutPool, roll_out


@pytest.fixture
def counting(tiny_world):
    """Clips of two episodes whose every latent is different, for the tiny world's dynamics."""
    config = tiny_world.dynamics.config
    levels = torch.randint(4, (70, config.tokens, config.channels), generator=torch.Generator().manual_seed(0))
    return Clips(levels.to(torch.uint8), torch.zeros(70, 3), [0, 30, 70], config.levels)


def test_own_history_replaces_what_follows_the_context_of_each_row(tiny_world, counting):
    true = counting.at(torch.arange(3, 12).expand(4, -1))
    context = torch.tensor([3, 8, 5, 9])
    own = roll_out(tiny_world.dynamics, tiny_world.tokenizer, true, context, torch.Generator())
    for row, first in enumerate(context.tolist()):
        assert torch.equal(own["latent"][row, :first], true["latent"][row, :first])
        assert torch.equal(own["previous"][row, : first + 1], true["previous"][row, : first + 1])
        assert all(
            not torch.equal(a, b) for a, b in zip(own["latent"][row, first:], true["latent"][row, first:], strict=False)
        )
    assert torch.equal(own["previous"][:, 1:], own["latent"][:, :-1])
    assert torch.equal(own["target"], true["target"])


def test_a_row_of_own_history_does_not_depend_on_the_others(tiny_world, counting):
    true = counting.at(torch.arange(3, 12).expand(2, -1))
    alone, both = (
        roll_out(tiny_world.dynamics, tiny_world.tokenizer, true, torch.tensor(c), torch.Generator())
        for c in ([4, 4], [4, 7])
    )
    assert torch.allclose(alone["latent"][0], both["latent"][0])


def test_own_history_survives_a_checkpoint(tiny_world, counting):
    own = RolloutPool(counting, tiny_world.tokenizer, 8, 9, 3)
    own.refresh(tiny_world.dynamics, 5, torch.Generator().manual_seed(0))
    again = RolloutPool(counting, tiny_world.tokenizer, 8, 9, 3)
    again.restore(own.tensors(), torch.device("cpu"))
    assert again.made_at == own.made_at == 5
    for name in own.pool:
        assert torch.allclose(again.pool[name].float(), own.pool[name].float(), atol=1e-6), name
    true = counting.at(own.pool["row"])["latent"]
    replaced = [int((a != b).any(-1).any(-1).sum()) for a, b in zip(own.pool["latent"], true, strict=False)]
    assert min(replaced) >= 1 and max(replaced) <= 3, "only the last frames are the model's own"


def test_a_mix_ends_with_own_clips(tiny_world, counting):
    own, generator = RolloutPool(counting, tiny_world.tokenizer, 8, 9, 4), torch.Generator().manual_seed(0)
    true = counting.sample(4, 9, 2, generator)
    true["clean"] = true["latent"]
    assert own.mix(true, 0.5, generator) is true
    own.refresh(tiny_world.dynamics, 0, generator)
    both = own.mix(true, 0.5, generator)
    assert torch.equal(both["latent"][:2], true["latent"][:2]) and len(both["latent"]) == 4
    assert torch.equal(both["clean"][2:], both["latent"][2:]), "its own mistakes are what is to be put right"
