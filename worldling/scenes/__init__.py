"""Scenes as Gymnasium environments: eight of solid things (a red agent, a yellow patient), three of chaos.

    import gymnasium, worldling.scenes
    env = gymnasium.make("worldling/Dominoes-v0")

`worldling/Physics-v0` draws one of the eight scenes for each episode; Cloth, Lorenz and Smoke are chaotic systems that
can be steered; `worldling/PushT-v0` is Push-T at 25 steps a second. MuJoCo is imported when one that needs it is made
(pip install "worldling[physics]"), and so are PhiFlow (`[fluid]`) and gym-pusht (`[pusht]`).
"""

from __future__ import annotations

import gymnasium

#: Raised whenever seeds come to mean other trials.
VERSION = "2"
SCENARIOS = ("dominoes", "support", "collide", "contain", "drop", "link", "roll", "drape")
CHAOS = ("cloth", "lorenz", "smoke")
PREFIX = "worldling/"
#: Ids of the environments: of the eight scenes and their mixture, and of the chaotic systems.
PHYSICS_IDS = tuple(f"{PREFIX}{name.title()}-v0" for name in (*SCENARIOS, "physics"))
CHAOS_IDS = tuple(f"{PREFIX}{name.title()}-v0" for name in CHAOS)

for _name, _id in zip((*SCENARIOS, None), PHYSICS_IDS):
    gymnasium.register(
        _id, entry_point="worldling.scenes.env:SceneEnv", kwargs={"scenario": _name}, disable_env_checker=True
    )
gymnasium.register(
    f"{PREFIX}PushT-v0",
    entry_point="worldling.scenes.push_t:FastPushTEnv",
    max_episode_steps=300,
    disable_env_checker=True,
)
for _name, _id in zip(CHAOS, CHAOS_IDS):
    gymnasium.register(_id, entry_point=f"worldling.scenes.{_name}:{_name.title()}Env", disable_env_checker=True)
