"""Reward and termination: what is scored, and what is read from the scores."""

import pytest
import torch

from worldling.dynamics.outcome import MAX_VALUES, Outcome, OutcomeConfig, nearest_value, outcome_config, outcome_loss
from worldling.errors import ConfigError


def test_few_rewards_are_scored_one_by_one_and_many_at_quantiles():
    points = torch.tensor([0.0, 0, 1, 0, -1, 5])
    none = torch.zeros(6, dtype=torch.bool)
    assert outcome_config(points, none) == OutcomeConfig((-1.0, 0.0, 1.0, 5.0), exact=True, ends=False)
    dense = outcome_config(torch.linspace(-3, 7, 500), torch.arange(500) == 499)
    assert len(dense.rewards) == MAX_VALUES and not dense.exact and dense.ends
    assert dense.rewards[0] == -3 and dense.rewards[-1] == 7


def test_a_reward_that_never_changes_is_not_predicted():
    still = outcome_config(torch.ones(9), torch.zeros(9, dtype=torch.bool))
    assert not still.is_there and still.num_scores == 0


def test_exact_rewards_are_the_likeliest_value_and_others_the_mean():
    scores = torch.tensor([[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]])
    exact, mean = (Outcome(OutcomeConfig((0.0, 1.0, 4.0), exact), 4, 3, 2) for exact in (True, False))
    assert exact.read(scores)[0].tolist() == [0.0, 4.0]
    assert mean.read(torch.zeros(1, 3))[0].item() == pytest.approx(5 / 3)
    assert exact.read(scores)[1] is None, "ends are not predicted"


def test_the_end_is_the_last_score():
    reward, ends = Outcome(OutcomeConfig((), ends=True), 4, 3, 2).read(torch.tensor([[0.1], [-0.1]]))
    assert reward is None and ends.tolist() == [True, False]


def test_right_scores_cost_nothing_and_weights_count():
    config = OutcomeConfig((0.0, 1.0), ends=True)
    right, wrong = torch.tensor([[50.0, -50.0, -50.0]]), torch.tensor([[-50.0, 50.0, 50.0]])
    given = torch.zeros(1), torch.zeros(1, dtype=torch.bool)
    assert outcome_loss(right, *given, torch.ones(1), config) < 1e-6
    assert outcome_loss(wrong, *given, 3 * torch.ones(1), config) == 3 * outcome_loss(
        wrong, *given, torch.ones(1), config
    )


def test_a_reward_counts_as_the_nearest_value():
    assert nearest_value(torch.tensor([-9.0, 0.4, 0.6, 7.0]), torch.tensor([0.0, 1.0])).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("rewards", [(1.0, 0.0), (0.0, 0.0), tuple(map(float, range(MAX_VALUES + 1)))])
def test_values_that_do_not_rise_or_are_too_many_are_told(rewards):
    with pytest.raises(ConfigError, match=r"`outcome.rewards` must be at most 32 rising values"):
        OutcomeConfig(rewards)
