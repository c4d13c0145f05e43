"""Push-T at a control rate of your choice: the physics of `gym_pusht/PushT-v0` run at 100 Hz.

    env = gymnasium.make("worldling/PushT-v0", control_hz=25)

At the original 10 steps a second a struck T moves up to 90 of 512 board units and turns up to 60 degrees between two
frames, and a person waits a tenth of a second for an answer. The board, the action (the agent's target, in board units)
and the physics are the same. Needs pip install "worldling[pusht]".
"""

from __future__ import annotations

from typing import Any

from gym_pusht.envs.pusht import PushTEnv

from worldling.errors import EnvError


class FastPushTEnv(PushTEnv):  # type: ignore[misc]  # a class without types
    """`PushTEnv` with `control_hz` actions and frames a second, a divisor of 100 (the physics' own rate)."""

    def __init__(self, control_hz: int = 25, **keywords: Any) -> None:
        if control_hz not in (10, 20, 25, 50, 100):
            raise EnvError(f"`control_hz` must be 10, 20, 25, 50 or 100, got {control_hz!r}. Use 25.")
        super().__init__(**keywords)
        self.control_hz = control_hz
        self.metadata: dict[str, Any] = {**PushTEnv.metadata, "render_fps": control_hz}
