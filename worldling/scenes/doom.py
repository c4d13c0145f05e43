"""Doom: walk through five rooms and a lawn and open doors, seen by one's own eyes, 17.5 frames a second.

    import gymnasium, worldling.scenes
    env = gymnasium.make("worldling/Doom-v0")

The engine is ViZDoom's, the textures are Freedoom's, the map is `doom_map.py`. Nobody else is there, nothing can be
picked up, nothing moves by itself, and no light flickers: the next picture follows from what is seen and done. A frame
is two tics of 1/35 s. A turn goes 5.625 degrees a frame, without a run-up, so that as many frames to the left undo
those to the right exactly, and there are 64 headings in all. A door opens or closes when USE is pressed before it, and
stays as it is. Needs pip install "worldling[doom]".

For world models: what is behind one's back is remembered or it is lost, and walls are solid.
"""

from __future__ import annotations

import math
import os
import shlex
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import vizdoom
from jaxtyping import Float, UInt8

from worldling.errors import EnvError, nearest
from worldling.scenes import doom_map
from worldling.scenes.doom_map import HEADINGS, TURN

TICS, FPS = 2, 17.5
ACTIONS = (
    "NOOP", "FORWARD", "BACK", "TURN LEFT", "TURN RIGHT", "FORWARD+TURN LEFT", "FORWARD+TURN RIGHT", "BACK+TURN LEFT",
    "BACK+TURN RIGHT", "USE",
)  # fmt: skip
#: Raised whenever seeds come to mean other episodes.
VERSION = "1"
#: Heights of the screen that can be drawn, pixels.
SCREENS = {120: "RES_160X120", 240: "RES_320X240", 480: "RES_640X480"}
_BUTTONS = ("TURN_LEFT_RIGHT_DELTA", "MOVE_FORWARD", "MOVE_BACKWARD", "USE")
_VARIABLES = ("POSITION_X", "POSITION_Y", "ANGLE", "VELOCITY_X", "VELOCITY_Y")
_FOV = 2 * math.degrees(math.atan(4 / 3))  # of 4:3, so that the square in its middle shows 90 degrees
_SETTLE = 20  # tics after which the engine obeys
_DOOR_TICS = 40  # that a door takes to open
_OPEN = 124.0  # units that an open door leaves: 4 less than the rooms beside it are high
_OFF_MIDDLE = 16.0  # units from the middle of a cell at which an episode may begin


class DoomEnv(gymnasium.Env):
    """Walk through five rooms and a lawn, look around and open doors: Doom without monsters.

    open_share: of the doors, 0 to 1, that are open when an episode begins; screen_px: side of the picture that the
    engine draws, 120, 240 or 480; obs_type: "pixels" (uint8 `[screen_px, screen_px, 3]`) or "state" (float32 `[11]`:
    x, y, cosine and sine of the heading, velocity x, y, five doors; see `record`).
    Raises `EnvError` for an argument out of range.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": FPS, "version": VERSION}  # noqa: RUF012 - as Gymnasium does

    def __init__(
        self,
        open_share: float = 0.3,
        screen_px: int = 240,
        obs_type: str = "pixels",
        render_mode: str | None = "rgb_array",
    ) -> None:
        if obs_type not in ("pixels", "state"):
            raise EnvError(f"`obs_type` must be pixels or state, got {obs_type!r}. Use pixels.")
        if not 0 <= open_share <= 1:
            raise EnvError(f"`open_share` must be from 0 to 1, got {open_share!r}. Use 0 for closed doors.")
        if screen_px not in SCREENS:
            raise EnvError(f"`screen_px` must be 120, 240 or 480, got {screen_px!r}. Use 240.")
        self.open_share, self.screen_px, self.obs_type, self.render_mode = open_share, screen_px, obs_type, render_mode
        self.action_space = gymnasium.spaces.Discrete(len(ACTIONS))
        pixels = gymnasium.spaces.Box(0, 255, (screen_px, screen_px, 3), np.uint8)
        state = gymnasium.spaces.Box(-np.inf, np.inf, (6 + len(doom_map.DOORS),), np.float32)
        self.observation_space = pixels if obs_type == "pixels" else state
        folder = Path(tempfile.mkdtemp(prefix="worldling-doom-"))
        self.game = vizdoom.DoomGame()
        self._end = weakref.finalize(self, _leave, self.game, folder)
        _start(self.game, folder, screen_px)

    def get_action_meanings(self) -> list[str]:
        """Name the actions."""
        return list(ACTIONS)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode anywhere on the map, with any of the 64 headings.

        options: "place", x and y in units on free floor; "heading", 0 to 63, from east by north, 5.625 degrees each;
        "doors", the digits of the doors that are open. What is not given is drawn. Raises `EnvError` if they are
        others. Cost: 20 ms, 10 more for each open door.
        """
        super().reset(seed=seed)
        place, heading, doors = self._drawn(dict(options or {}))
        self.game.set_seed(int(self.np_random.integers(2**31)))
        self.game.new_episode()
        self._wait(_SETTLE)
        for door in doors:
            standing, facing = doom_map.before_door(door)
            self._take_to(standing, facing)
            self.game.make_action([0, 0, 0, 1], 1)
        self._take_to(place, heading)
        self._wait(_DOOR_TICS if doors else 1)
        return self._observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Act for 2/35 s; the reward is 0, and nothing ends. Raises `EnvError` for an action that is none of ten."""
        if int(action) not in range(len(ACTIONS)):
            raise EnvError(f"`action` must be from 0 to {len(ACTIONS) - 1}, got {action!r}. Give one of these.")
        self.game.make_action(_pressed(ACTIONS[int(action)]), TICS)
        return self._observe(), 0.0, False, False, {}

    def render(self) -> UInt8[np.ndarray, "S S 3"]:
        """Return the picture, the middle of the screen: uint8 `[screen_px, screen_px, 3]`, 90 degrees wide and high."""
        screen = self.game.get_state().screen_buffer
        aside = (screen.shape[1] - screen.shape[0]) // 2
        return np.ascontiguousarray(screen[:, aside : aside + screen.shape[0]])

    def draw(self, size_px: int) -> UInt8[np.ndarray, "S S 3"]:
        """Return the same picture for frames of any size, which whoever asks makes larger or smaller."""
        return self.render()

    def record(self) -> dict[str, np.ndarray]:
        """Return what a recording keeps of every frame.

        position `[2]`: x to the east and y to the north, units (64 to a cell of the map); angle: radians, 0 to 2 pi,
        from east by north; velocity `[2]`: units a tic; doors `[5]`: how far each is open, 0 to 1.
        """
        x, y, degrees, right, up = self._variables()
        return {
            "position": np.array([x, y], np.float32),
            "angle": np.array(math.radians(degrees) % (2 * math.pi), np.float32),
            "velocity": np.array([right, up], np.float32),
            "doors": self.doors(),
        }

    @property
    def heading(self) -> int:
        """Where the eye looks: 0 (east) to 63, from east by north, 5.625 degrees each."""
        return round(self._variables()[2] / TURN) % HEADINGS

    @property
    def place(self) -> tuple[float, float]:
        """Where the eye is: x and y in units."""
        return self._variables()[0], self._variables()[1]

    def doors(self) -> Float[np.ndarray, doors]:
        """Say how far each door is open, 0 to 1."""
        sectors = self.game.get_state().sectors
        heights = [sectors[number].ceiling_height - sectors[number].floor_height for number in doom_map.door_sectors()]
        return np.array(heights, np.float32) / np.float32(_OPEN)

    def close(self) -> None:
        """Stop the engine and remove its files."""
        self._end()

    def _variables(self) -> list[float]:
        return [float(value) for value in np.asarray(self.game.get_state().game_variables)]

    def _observe(self) -> np.ndarray:
        if self.obs_type == "pixels":
            return self.render()
        state = self.record()
        angle = float(state["angle"])
        numbers = [*state["position"], math.cos(angle), math.sin(angle), *state["velocity"], *state["doors"]]
        return np.array(numbers, np.float32)

    def _drawn(self, chosen: dict[str, Any]) -> tuple[tuple[float, float], int, list[str]]:
        """Return place, heading and open doors of an episode: what was chosen, the rest drawn."""
        known = ("place", "heading", "doors")
        for name in chosen:
            if name not in known:
                raise EnvError(f"`options` must be place, heading and doors, got {name!r}. {nearest(name, known)}")
        cells = np.argwhere(doom_map.floor_cells(doors=False))
        row, column = cells[self.np_random.integers(len(cells))]
        off = self.np_random.uniform(-_OFF_MIDDLE, _OFF_MIDDLE, 2).round()
        x, y = np.add(doom_map.middle(int(row), int(column)), off)
        heading = int(self.np_random.integers(HEADINGS))
        doors = [door for door in doom_map.DOORS if self.np_random.random() < self.open_share]
        place = tuple(float(part) for part in chosen.get("place", (x, y)))
        if len(place) != 2 or not doom_map.floor_cells()[doom_map.cell_at(*place)]:
            raise EnvError(f"`options['place']` must be x and y of free floor, got {place}. Leave it out to draw one.")
        for door in chosen.get("doors", ""):
            if door not in doom_map.DOORS:
                raise EnvError(f"`options['doors']` must be of {doom_map.DOORS}, got {door!r}. Give '' for none.")
        return (place[0], place[1]), int(chosen.get("heading", heading)) % HEADINGS, list(chosen.get("doors", doors))

    def _take_to(self, place: tuple[float, float], heading: int) -> None:
        """Take the player to a place and let it look somewhere."""
        self.game.send_game_command(f"warp {place[0]:g} {place[1]:g}")
        self._wait(1)
        turn = (self._variables()[2] - heading * TURN + 180.0) % 360.0 - 180.0
        self.game.make_action([round(turn / TURN) * TURN, 0, 0, 0], 1)

    def _wait(self, tics: int) -> None:
        self.game.make_action([0, 0, 0, 0], tics)


def _pressed(name: str) -> list[float]:
    """Return what the buttons do in each tic of an action."""
    parts = name.split("+")
    turn = ("TURN RIGHT" in parts) - ("TURN LEFT" in parts)
    return [turn * TURN / TICS, "FORWARD" in parts, "BACK" in parts, "USE" in parts]


def _leave(game: Any, folder: Path) -> None:
    """Stop the engine, which writes its settings when it ends, and then remove its folder."""
    game.close()
    shutil.rmtree(folder, ignore_errors=True)


def _start(game: Any, folder: Path, screen_px: int) -> None:
    """Start the engine with the map; it writes to `folder` alone."""
    (folder / "map.wad").write_bytes(doom_map.wad())
    game.set_vizdoom_path(_program(folder))
    game.set_doom_config_path(str(folder / "engine.ini"))
    game.set_doom_game_path(str(Path(vizdoom.__file__).parent / "freedoom1.wad"))
    game.set_doom_scenario_path(str(folder / "map.wad"))
    game.set_doom_map("E1M1")
    game.set_screen_resolution(getattr(vizdoom.ScreenResolution, SCREENS[screen_px]))
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    for what in (
        "hud", "weapon", "crosshair", "decals", "particles", "effects_sprites", "messages", "corpses", "screen_flashes",
    ):  # fmt: skip
        getattr(game, f"set_render_{what}")(False)
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    game.set_console_enabled(False)
    game.set_sectors_info_enabled(True)
    game.set_available_buttons([getattr(vizdoom.Button, name) for name in _BUTTONS])
    game.set_available_game_variables([getattr(vizdoom.GameVariable, name) for name in _VARIABLES])
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_episode_timeout(0)
    game.add_game_args(f"-nomonsters +sv_cheats 1 +movebob 0 +wipetype 0 +fov {_FOV:.4f}")
    game.init()


def _program(folder: Path) -> str:
    """Return the engine's program, begun in `folder`: it makes a folder `_vizdoom` wherever it is begun."""
    program = Path(vizdoom.__file__).parent / "vizdoom"
    if os.name != "posix":
        return str(program)
    script = folder / "engine.sh"
    script.write_text(f'#!/bin/sh\ncd {shlex.quote(str(folder))} && exec {shlex.quote(str(program))} "$@"\n')
    script.chmod(0o700)
    return str(script)
