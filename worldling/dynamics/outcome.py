"""Outcome: the reward of a step and whether it ends the episode, told from the step's two latents and its action.

A network of its own beside the dynamics: worlds without one make the same frames, whatever runs them, and it can be
trained when latents are there, before or after the dynamics. Rewards are scored over the values that the data hold, so
that a game's points stay whole numbers and steps without reward add up to exactly nothing.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from worldling.errors import ConfigError

#: Rewards of at most so many distinct values are scored one by one; of more, at so many of their quantiles.
MAX_VALUES = 32


@dataclass(frozen=True)
class OutcomeConfig:
    """What is predicted.

    rewards: the values scored, rising, none if rewards are not predicted; exact: whether these are all values there
    are, so that the likeliest is taken, else their mean; ends: whether termination is predicted; width: of the network.
    """

    rewards: tuple[float, ...] = ()
    exact: bool = True
    ends: bool = False
    width: int = 64

    def __post_init__(self) -> None:
        if len(self.rewards) > MAX_VALUES or list(self.rewards) != sorted(set(self.rewards)):
            raise ConfigError(
                f"`outcome.rewards` must be at most {MAX_VALUES} rising values, got {len(self.rewards)}. "
                "Train the world again."
            )

    @property
    def is_there(self) -> bool:
        """Whether anything is predicted."""
        return bool(self.rewards) or self.ends

    @property
    def num_scores(self) -> int:
        """One for each reward, and one for the end."""
        return len(self.rewards) + self.ends


class Outcome(nn.Module):
    """Score rewards and the end of the episode. tokens N, channels C, action_size A: as the dynamics'."""

    values: Tensor

    def __init__(self, config: OutcomeConfig, tokens: int, channels: int, action_size: int) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.change_in = nn.Linear(2 * channels + action_size, width)
        self.place = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.cell = nn.Linear(width, width)
        self.frame = nn.Linear(2 * width, width)
        self.scores = nn.Linear(width, config.num_scores)
        self.register_buffer("values", torch.tensor(config.rewards), persistent=False)

    def forward(
        self, latent: Float[Tensor, "B N C"], following: Float[Tensor, "B N C"], action: Float[Tensor, "B A"]
    ) -> Float[Tensor, "B scores"]:
        """Return scores `[B, K + 1]` of a step from `latent` to `following`, each `[B, N, C]`, under action `[B, A]`.

        The last is the logit of the end, where it is predicted.
        """
        seen = torch.cat([latent, following - latent, action[:, None].expand(-1, latent.shape[1], -1)], -1)
        cells = F.gelu(self.cell(F.gelu(self.change_in(seen) + self.place)))
        return self.scores(F.gelu(self.frame(torch.cat([cells.mean(1), cells.amax(1)], -1))))

    def read(self, scores: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return rewards float32 `[B]` and ends bool `[B]` of scores `[B, K + 1]`; None where not predicted."""
        count = len(self.config.rewards)
        reward = None
        if count:
            chance = scores[:, :count].float().softmax(-1)
            reward = self.values[chance.argmax(-1)] if self.config.exact else (chance * self.values).sum(-1)
        return reward, scores[:, -1] > 0 if self.config.ends else None


def outcome_loss(scores: Tensor, reward: Tensor, ends: Tensor, weight: Tensor, config: OutcomeConfig) -> Tensor:
    """Return the cross-entropy of scores `[B, K + 1]` given rewards float32 and ends bool, weighted, each `[B]`."""
    count, loss = len(config.rewards), scores.new_zeros(len(scores))
    if count:
        values = torch.tensor(config.rewards, device=scores.device)
        loss = F.cross_entropy(scores[:, :count].float(), nearest_value(reward, values), reduction="none")
    if config.ends:
        loss = loss + F.binary_cross_entropy_with_logits(scores[:, -1].float(), ends.float(), reduction="none")
    return (loss * weight).mean()


def nearest_value(reward: Tensor, values: Tensor) -> Tensor:
    """Return which of rising values `[K]` is nearest to each reward `[B]`: int64 `[B]`."""
    return (reward[:, None] - values).abs().argmin(-1)


def outcome_config(reward: Tensor, ends: Tensor) -> OutcomeConfig:
    """Return what can be predicted after data with rewards float32 `[F]` and ends bool `[F]`."""
    distinct = reward.unique()
    if len(distinct) < 2:
        rewards, exact = (), True
    elif len(distinct) <= MAX_VALUES:
        rewards, exact = tuple(distinct.tolist()), True
    else:
        spread = distinct[torch.linspace(0, len(distinct) - 1, MAX_VALUES).round().long()]
        rewards, exact = tuple(sorted(set(spread.tolist()))), False
    return OutcomeConfig(rewards, exact, bool(ends.any()))
