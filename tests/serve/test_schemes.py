"""The page's controls: what is held becomes the right raw action. Runs the page's own file, given node."""

import json
import shutil
import subprocess
from dataclasses import asdict
from typing import Any

import pytest

from worldling.player import PAGE
from worldling.types import ActionSpace

PONG = ActionSpace("discrete", (6,), names=("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"))
ATARI = ActionSpace("discrete", (6,), names=("NOOP", "UP", "RIGHT", "UPRIGHT", "UPRIGHTFIRE", "FIRE"))
GRID = ActionSpace("discrete", (4,), names=("left", "right", "forward", "pickup"))
ROAD = ActionSpace("discrete", (5,), names=("LANE_LEFT", "IDLE", "LANE_RIGHT", "FASTER", "SLOWER"))
CRAFT = ActionSpace("discrete", (6,), names=("noop", "move_left", "move_right", "move_up", "move_down", "do"))
WALK = ActionSpace("discrete", (6,), names=("NOOP", "FORWARD", "TURN LEFT", "FORWARD+TURN LEFT", "BACK", "USE"))
PLAIN = ActionSpace("discrete", (2,))
MANY = ActionSpace("discrete", (12,))
CAR = ActionSpace("box", low=(-1, 0, 0), high=(1, 1, 1), names=("steer", "gas", "brake"))
HAND = ActionSpace("box", low=(-1, -1), high=(1, 1), names=("right", "away"))
PUSH = ActionSpace("box", low=(0, 0), high=(512, 512), names=("x", "y"))
AXES = ActionSpace("box", low=(-2, -1, 0.5), high=(2, 1, 1))
KEYS = ActionSpace("multi_binary", (2, 2, 2), names=("left", "jump", "map"))
PARTS = ActionSpace("multi_discrete", (3, 2))
NONE = ActionSpace("none")

CASES = [  # space, controls held (the newest first), the action
    (PONG, [], 0),
    (PONG, ["up"], 2),
    (PONG, ["down"], 3),
    (PONG, ["right"], 2),
    (PONG, ["fire", "up"], 4),
    (PONG, ["down", "up"], 3),
    (PONG, ["#5"], 5),
    (MANY, ["#11"], 11),
    (ATARI, ["right", "up"], 3),
    (ATARI, ["fire", "up", "right"], 4),
    (ATARI, ["down"], 0),
    (ATARI, ["down", "up"], 1),
    (ATARI, ["fire", "right"], 5),
    (GRID, ["up"], 2),
    (GRID, ["#3"], 3),
    (GRID, ["#-3"], 0),
    (GRID, ["#-3", "up"], 2),
    (ROAD, [], 1),
    (ROAD, ["left"], 0),
    (ROAD, ["down"], 4),
    (CRAFT, ["up"], 3),
    (CRAFT, ["fire"], 5),
    (WALK, ["left", "up"], 3),
    (WALK, ["up", "left"], 3),
    (WALK, ["fire"], 5),
    (PLAIN, ["#1"], 1),
    (PLAIN, [], 0),
    (CAR, [], [0, 0, 0]),
    (CAR, ["left", "up"], [-1, 1, 0]),
    (CAR, ["down"], [0, 0, 1]),
    (HAND, ["left", "up"], [-1, 1]),
    (AXES, [], [0, 0, 0.5]),
    (AXES, ["right", "down", "#3"], [2, -1, 1]),
    (KEYS, ["fire"], [0, 1, 0]),
    (KEYS, ["#3", "left"], [1, 0, 1]),
    (NONE, ["up"], []),
]
OTHERS = [  # the same, with a target in the picture, sliders or pickers
    (PUSH, {"target": [0.25, 1]}, [128, 512]),
    (PUSH, {"target": None}, None),
    (AXES, {"sliders": {"1": 0.5}}, [0, 0.5, 0.5]),
    (PARTS, {"picked": [2, 1]}, [2, 1]),
]

ROBOT = ActionSpace("box", low=(-1, -1, -1), high=(1, 1, 1), names=("turn", "forward", "gripStrength"))
LABELS = [  # space, what its buttons say, left before right
    (CAR, ["steer left", "steer right", "gas", "brake"]),
    (HAND, ["left", "right", "away", "closer"]),
    (AXES, ["axis 1 −", "axis 1 +", "axis 2 +", "axis 2 −", "axis 3 +"]),
    (PONG, ["left", "right", "fire"]),
    (GRID, ["left", "right", "forward", "pickup"]),
    (WALK, ["turn left", "forward", "back", "use"]),
    (ROAD, ["lane left", "lane right", "faster", "slower"]),
    (MANY, [f"choice {i}" for i in range(1, 12)]),
    (KEYS, ["left", "jump", "map"]),
    (ROBOT, ["turn left", "turn right", "forward", "back", "grip strength −", "grip strength +"]),
    (PUSH, []),
]
NOTES = [(GRID, "the action is left."), (PLAIN, "the action is choice 0."), (ROAD, ""), (PONG, "")]
SENTENCES = [  # space, touch, what the player is told where the world says nothing
    (CAR, False, "Keys: ← steer left, → steer right, ↑ gas, ↓ brake."),
    (CAR, True, "Hold the buttons below."),
    (PUSH, False, "Move the mouse over the picture."),
    (PUSH, True, "Drag a finger over the picture."),
    (PARTS, False, "Set the values below."),
    (NONE, False, "This world takes no actions."),
]


needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def answers(space_and_more: list[Any], expression: str) -> list[Any]:
    """Run the page's own file on each case `[space, ...]`, `one` in the expression; return what it says of each."""
    source = (PAGE / "schemes.js").read_text()
    code = f"{source}\nconsole.log(JSON.stringify({json.dumps(space_and_more)}.map((one) => {expression})));"
    done = subprocess.run(["node", "--input-type=module", "-"], input=code, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_node
def test_held_controls_become_actions():
    cases = [(space, {"recent": held}, wanted) for space, held, wanted in CASES] + OTHERS
    found = answers(
        [[asdict(space), space is PUSH, given] for space, given, _ in cases],
        """{
        const [space, pointer, given] = one;
        const input = { recent: [], sliders: {}, picked: [], target: null, ...given };
        const strength = (control) => Number(input.recent.includes(control));
        return makeScheme(space, pointer).action({ ...input, strength });
    }""",
    )
    for (space, given, wanted), got in zip(cases, found, strict=True):
        assert got == wanted, f"{space} with {given}"
        if got is not None:
            space.check(got, lead=())


@needs_node
def test_buttons_say_what_they_do():
    found = answers(
        [[asdict(space), space is PUSH] for space, _ in LABELS], "makeScheme(...one).buttons.map(({ label }) => label)"
    )
    assert found == [labels for _, labels in LABELS]


@needs_node
def test_pedals_and_fire_are_for_the_right_thumb():
    spaces = (CAR, HAND, ATARI)
    found = answers(
        [[asdict(space)] for space in spaces],
        "makeScheme(one[0], false).buttons.filter(({ thumb }) => thumb === 'right').map(({ label }) => label)",
    )
    assert found == [["gas", "brake"], [], ["fire"]]


@needs_node
def test_a_world_that_says_nothing_is_explained_by_its_controls():
    found = answers(
        [[asdict(space), space is PUSH, touch] for space, touch, _ in SENTENCES],
        "sentence(makeScheme(one[0], one[1]), one[2])",
    )
    assert found == [says for _, _, says in SENTENCES]


@needs_node
def test_the_page_says_what_is_done_while_nothing_is_held():
    found = answers([[asdict(space)] for space, _ in NOTES], "makeScheme(one[0], false).note")
    assert all(
        note.endswith(wanted) and bool(note) == bool(wanted) for note, (_, wanted) in zip(found, NOTES, strict=True)
    )
