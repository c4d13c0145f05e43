"""A stage trains any model: it resumes on the same curve, keeps what it is given, and refuses what is not its own."""

import itertools
import json

import pytest
import torch
from torch import nn

from worldling.errors import CheckpointError
from worldling.learn.optimizer import optimizer_for
from worldling.learn.stage import Budget, Stage, write_settings


def make_stage(folder, budget=Budget(1.0, steps=6), **options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 1))
    return Stage("fit", folder, model, optimizer_for(model, 1e-2), budget, quiet=True, **options)


def run(stage, until=1.0, value=0.0):
    with stage.running():
        while stage.share_done < until:
            stage.set_learning_rate(1e-2)
            x = torch.randn(8, 32, generator=stage.generator())
            stage.update((stage.model(x) - x.sum(1, keepdim=True)).square().mean() + value)
    return stage


def test_a_resumed_stage_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = run(make_stage(tmp_path / "whole"))
    run(make_stage(tmp_path / "parts"), until=0.5)
    parts = run(make_stage(tmp_path / "parts"))
    assert parts.step == whole.step == 6
    for a, b in zip(
        [*whole.model.parameters(), *whole.ema.parameters()],
        [*parts.model.parameters(), *parts.ema.parameters()],
        strict=False,
    ):
        assert torch.equal(a, b)


def test_generators_depend_on_step_purpose_and_seed_alone(tmp_path):
    stage, other = make_stage(tmp_path), make_stage(tmp_path, seed=1)

    def draw(stage, *purpose):
        return torch.rand(4, generator=stage.generator(*purpose))

    assert torch.equal(draw(stage), draw(stage))
    assert not torch.equal(draw(stage), draw(stage, "noise")) and not torch.equal(draw(stage), draw(other))
    before = draw(stage)
    stage.step += 1
    assert not torch.equal(before, draw(stage))


def test_what_is_kept_comes_back(tmp_path):
    stage = make_stage(tmp_path)
    stage.keep = lambda: {"pool": torch.arange(3)}
    run(stage)
    assert torch.equal(make_stage(tmp_path).extra["pool"], torch.arange(3))


@pytest.mark.parametrize("extendable, steps", [(False, 6), (True, 9)])
def test_a_finished_stage_goes_on_only_if_it_may(tmp_path, extendable, steps):
    run(make_stage(tmp_path))
    assert run(make_stage(tmp_path, Budget(1.0, steps=9), extendable=extendable)).step == steps


def test_a_budget_of_minutes_and_steps_ends_with_the_first_of_them():
    both, steps, minutes = Budget(1.0, 100, either=True), Budget(1.0, 100), Budget(1.0)
    assert [budget.share(50, 30.0) for budget in (both, steps, minutes)] == [0.5, 0.5, 0.5]
    assert [budget.share(10, 60.0) for budget in (both, steps, minutes)] == [1.0, 0.1, 1.0]
    assert [budget.share(100, 6.0) for budget in (both, steps, minutes)] == [1.0, 1.0, 0.1]


def test_a_loss_that_is_not_finite_stops_the_run_and_spoils_no_checkpoint(tmp_path):
    run(make_stage(tmp_path), until=0.5)
    before = (tmp_path / "fit.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="`loss` must be finite"):
        run(make_stage(tmp_path), value=float("nan"))
    assert (tmp_path / "fit.safetensors").read_bytes() == before


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    run(make_stage(tmp_path, identity={"size": "s"}), until=0.5)
    with pytest.raises(CheckpointError, match="must be a fit with"):
        make_stage(tmp_path, identity={"size": "m"})


def test_a_stage_told_to_end_takes_the_time_that_is_left(tmp_path):
    stage = make_stage(tmp_path, Budget(100.0))
    stage.seconds = 30.0
    stage.end_by(60.0)
    assert stage.share_done == pytest.approx(1 / 3)


def test_settings_that_make_a_run_cannot_change_but_may_be_older(tmp_path):
    write_settings(tmp_path, {"seed": 0}, {"net": {"old": 1}})
    run(make_stage(tmp_path), until=0.5)
    with pytest.raises(CheckpointError, match="`net` must be as when"):
        write_settings(tmp_path, {"seed": 0}, {"net": {"new": 1}})
    write_settings(tmp_path, {"seed": 1}, {"net": {"new": 1}}, lambda name, was: {"new": was["old"]})
    assert json.loads((tmp_path / "train.json").read_text()) == {"seed": 1, "made_of": {"net": {"new": 1}}}


def rates(stage, until=1.0):
    """Run a stage and return its learning rate at each step."""
    seen = []
    with stage.running():
        while stage.share_done < until and len(seen) < 2000:
            stage.set_learning_rate(1.0)
            seen.append(stage.optimizer.param_groups[0]["lr"])
            stage.update(stage.model(torch.ones(2, 32)).square().mean())
            stage.seconds = float(stage.step)  # a second a step
    return seen


def test_an_open_ended_stage_keeps_its_rate_until_just_enough_time_is_left(tmp_path):
    seen = rates(make_stage(tmp_path, Budget(20.0), open_ended=True))
    assert seen[60:950] == [1.0] * 890, "the last fifth is for cooling"
    assert seen[-1] < 0.02 and all(a >= b for a, b in itertools.pairwise(seen[961:]))
    assert len(seen) == 1200


def test_an_open_ended_stage_may_end_before_its_time(tmp_path):
    stage = make_stage(tmp_path, Budget(20.0), open_ended=True)
    rates(stage, until=0.4)
    assert stage.step == 480
    stage.cool_down()
    rates(stage, until=0.45)
    assert make_stage(tmp_path, Budget(20.0), open_ended=True).cooling_from == 480, "a checkpoint remembers"
    rest = rates(stage)
    assert stage.step == 600 and rest[-1] < 0.02


def test_a_reopened_stage_is_at_its_peak_again(tmp_path):
    rates(make_stage(tmp_path, Budget(5.0), open_ended=True))
    stage = make_stage(tmp_path, Budget(20.0), open_ended=True)
    assert stage.finished and stage.has_time
    stage.reopen()
    assert rates(stage, until=0.5)[60] == 1.0 and stage.step == 600
