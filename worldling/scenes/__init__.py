"""Scenes as Gymnasium environments: eight of solid things (a red agent, a yellow patient), three of chaos.

    import gymnasium, worldling.scenes
    env = gymnasium.make("worldling/Dominoes-v0")

`worldling/Physics-v0` draws one of the eight scenes for each episode; Cloth, Lorenz and Smoke are chaotic systems that
can be steered; `worldling/PushT-v0` is Push-T at 25 steps a second. MuJoCo is imported when one that needs it is made
(pip install "worldling[physics]"), and so are PhiFlow (`[fluid]`) and gym-pusht (`[pusht]`). `worldling/Bricks-v0`, a
game of paddle, ball and bricks, and Lorenz need numpy alone.
"""

from __future__ import annotations

import gymnasium

from worldling.scenes.names import CHAOS, CHAOS_IDS, PHYSICS_IDS, PREFIX, SCENARIOS, VERSION

__all__ = ["CHAOS", "CHAOS_IDS", "PHYSICS_IDS", "PREFIX", "SCENARIOS", "VERSION"]

for _scenario, _id in zip((*SCENARIOS, None), PHYSICS_IDS, strict=True):
    gymnasium.register(
        _id, entry_point="worldling.scenes.env:SceneEnv", kwargs={"scenario": _scenario}, disable_env_checker=True
    )
gymnasium.register(
    f"{PREFIX}PushT-v0",
    entry_point="worldling.scenes.push_t:FastPushTEnv",
    max_episode_steps=300,
    disable_env_checker=True,
)
gymnasium.register(
    f"{PREFIX}Bricks-v0",
    entry_point="worldling.scenes.bricks:BricksEnv",
    max_episode_steps=5400,  # three minutes: a ball may come back to an idle paddle for ever
    disable_env_checker=True,
)
for _name, _id in zip(CHAOS, CHAOS_IDS, strict=True):
    gymnasium.register(_id, entry_point=f"worldling.scenes.{_name}:{_name.title()}Env", disable_env_checker=True)
