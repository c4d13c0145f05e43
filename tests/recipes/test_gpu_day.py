"""gpu_day: what can be known of it without training anything."""

import itertools
import tarfile

import pytest

from worldling.data.environment import open_environment
from worldling.dynamics.model import Dynamics
from worldling.recipes.gpu_day import NEEDS, PLANS, main, pack, tiny
from worldling.recipes.policies import pusht_free_hand
from worldling.tokenizer.model import Tokenizer
from worldling.train.recipe import world_config
from worldling.types import ActionSpace
from worldling.world_files import save_world

SPACE = ActionSpace("box", (), (-1.0, -1.0), (1.0, 1.0))


@pytest.mark.parametrize("name", PLANS)
def test_what_a_plan_trains_may_be_bundled(name):
    config = world_config(name, PLANS[name].config, 64, SPACE, 25.0)
    parameters = sum(
        p.numel() for m in (Tokenizer(config.tokenizer), Dynamics(config.dynamics)) for p in m.parameters()
    )
    assert 2 * parameters < 7.9e6, "half precision, and room for contexts"
    world_config(name, tiny(PLANS[name]).config, 64, SPACE, 25.0)


def test_needs_are_listed(capsys):
    main(["--list-needs"])
    assert capsys.readouterr().out.split() == list(NEEDS)


def test_an_unknown_world_is_told():
    with pytest.raises(SystemExit, match=r"`worlds` must be of gpu_day, got 'pusht-52'. Did you mean 'pusht-25'"):
        main(["pusht-52"])


def test_a_packed_world_holds_what_it_needs_to_be_played(tiny_world, tmp_path):
    save_world(tiny_world, tmp_path / "w")
    for part in ("mean.png", "contexts"):  # a tiny world has none
        (tmp_path / "w" / part).touch()
    assert pack(tmp_path / "w", tmp_path / "w.tar").endswith("MB")
    with tarfile.open(tmp_path / "w.tar") as tar:
        assert {"w/config.json", "w/weights.safetensors", "w/card.json"} <= set(tar.getnames())


def test_a_free_hand_is_fast_and_slow_and_reaches_the_t():
    env = open_environment("worldling/PushT-v0", 32)
    try:
        frame = env.reset(3)
        assert env.fps == 25.0
        act, places, begun = pusht_free_hand(env, 3), [], env.state()["block_pose"]
        for _ in range(250):
            places.append(act(frame, env.info))
            frame = env.step(places[-1]).frame
        speed = [float(abs(b - a).sum()) * env.fps for a, b in itertools.pairwise(places)]
        assert min(speed) == 0 and max(speed) > 400
        assert abs(env.state()["block_pose"] - begun).sum() > 5
    finally:
        env.close()
