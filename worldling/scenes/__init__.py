"""Physics scenes as Gymnasium environments: a red agent, a yellow patient, and what may happen between them.

    import gymnasium, worldling.scenes
    env = gymnasium.make("worldling/Dominoes-v0")

`worldling/Physics-v0` draws one of the eight scenes for each episode. MuJoCo is imported when one is made
(pip install "worldling[physics]").
"""

from __future__ import annotations

import gymnasium

SCENARIOS = ("dominoes", "support", "collide", "contain", "drop", "link", "roll", "drape")
PREFIX = "worldling/"

for _name in (*SCENARIOS, "physics"):
    gymnasium.register(
        f"{PREFIX}{_name.title()}-v0",
        entry_point="worldling.scenes.env:SceneEnv",
        kwargs={"scenario": None if _name == "physics" else _name},
        disable_env_checker=True,
    )
