"""The map of Doom: five rooms and a lawn, drawn in letters, and written as a WAD file that Doom engines read.

A letter is 64 units; the first row is the northernmost, x goes east and y north from the south-west corner of the map.
`#` is solid, and so is `*`, which looks different, so that each room has a wall to tell its sides by. Each digit is a
door, which opens upward; what is under the other letters is in `SPACES`. Textures have Doom's names and are Freedoom's.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool

CELL = 64
#: Headings that the player can have, counted from east by north, and how far a frame of turning goes, degrees.
HEADINGS = 64
TURN = 360.0 / HEADINGS
PLAN = (
    "#############**#############",
    "#LLLLLL###TTTTTTTT###RRRRRR#",
    "#LLLLLL###TTTTTTTT###RRRRRR#",
    "*LLLLLLaaaTT#TT#TTbbbRRRRRR*",
    "*LLLLLLaaaTTTTTTTTbbbRRRRRR*",
    "#LLLLLL###TTTTTTTT###RRRRRR#",
    "##11#########22#########33##",
    "#MMMMMM#GGGGGGGGGGGG#BBBBBB#",
    "#MMMMMMwGGGGGGGGGGGGwBBBBBB#",
    "#MMMMMM#GGGGPPPPGGGG#BBBBBB#",
    "*MM##MM4GGGGPPPPGGGG5BB##BB*",
    "*MM##MM4GGGGPPPPGGGG5BB##BB*",
    "#MMMMMM#GGGGGGGGGGGG#BBBBBB#",
    "#MMMMMMwGGGGGGGGGGGGwBBBBBB#",
    "#############**#############",
)
DOORS = "12345"
ROWS, COLUMNS = len(PLAN), len(PLAN[0])


@dataclass(frozen=True)
class Space:
    """What is under a letter: textures of wall, floor and ceiling, and the heights of floor and ceiling, in units."""

    wall: str
    floor: str
    ceiling: str
    bottom: int = 0
    top: int = 128
    light: int = 255


_DOOR = Space("DOORTRAK", "FLOOR0_3", "FLAT23", 0, 0, 224)
SPACES = {
    "L": Space("PANEL1", "FLAT5_1", "CEIL3_1"),  # a library
    "T": Space("STARTAN3", "FLOOR0_7", "AQF067"),
    "R": Space("ZZWOLF11", "FLAT8", "FLOOR3_3"),
    "M": Space("MARBLE2", "FLOOR0_1", "CRATOP2"),
    "B": Space("ZZWOLF9", "FLAT23", "AQF067"),
    "G": Space("BRICK7", "AQF022", "F_SKY1"),  # the lawn
    "P": Space("BRICK7", "FLAT14", "F_SKY1", bottom=-16),  # a pond, as deep as a stair
    "a": Space("SILVER2", "FLOOR0_7", "AQF067", top=112),
    "b": Space("SUPPORT2", "FLOOR0_7", "AQF067", top=112),
    "w": Space("BRICK12", "FLOOR3_3", "FLOOR3_3", bottom=40, top=104),  # a window
    **dict.fromkeys(DOORS, _DOOR),
}
DOOR_FACES = {"1": "BIGDOOR7", "2": "BIGDOOR2", "3": "BIGDOOR2", "4": "BIGDOOR7", "5": "BIGDOOR2"}
#: What is on `*`, by the space that it is seen from.
MARKS = {"L": "PANBOOK", "T": "COMPUTE1", "R": "ZZWOLF12", "M": "MARBFACE", "B": "PANBLUE", "G": "BRICKLIT"}
#: Units a tic, times 8, and tics for which a door stays open unless it is closed: ten hours.
DOOR_SPEED, DOOR_WAIT = 32, 1_260_000

#: Things that stand in the middle of a cell: its row and column, and the number that Doom has for them.
THINGS = ((8, 9, 54), (8, 18, 54), (12, 9, 54), (12, 18, 54), (2, 2, 2028), (5, 25, 30), (12, 25, 48))
#: Where the player begins, unless it is taken elsewhere: row and column.
_START = (4, 13)
_SOLID = "#*"
#: Floors, ceilings and these walls are drawn so many times as large as in Doom: less grain, which small models blur.
LARGER = 2
_LARGE = ("ZZWOLF11", "ZZWOLF9", "MARBLE2", "BRICK7", "BRICK12", "STARTAN3")
_SIDE_SCALES = [f"scale{axis}_{part}" for axis in "xy" for part in ("top", "mid", "bottom")]
_FLAT_SCALES = [f"{axis}scale{flat}" for axis in "xy" for flat in ("floor", "ceiling")]


def corner(row: int, column: int) -> tuple[int, int]:
    """Return x, y of the south-west corner of a cell, units."""
    return column * CELL, (ROWS - 1 - row) * CELL


def middle(row: int, column: int) -> tuple[float, float]:
    """Return x, y of the middle of a cell, units."""
    x, y = corner(row, column)
    return x + CELL / 2, y + CELL / 2


def cell_at(x: float, y: float) -> tuple[int, int]:
    """Return row and column of the cell that a place is in; of the nearest one outside the map."""
    row, column = ROWS - 1 - int(y // CELL), int(x // CELL)
    return min(max(row, 0), ROWS - 1), min(max(column, 0), COLUMNS - 1)


@cache
def floor_cells(doors: bool = True) -> Bool[np.ndarray, "15 28"]:
    """Say which cells one can stand in, or walk through: no wall, window or thing; doors: count them too. Read only."""
    shut = (*_SOLID, "w", *("" if doors else DOORS))
    free = np.array([[letter not in shut for letter in row] for row in PLAN])
    for row, column, _ in THINGS:
        free[row, column] = False
    free.setflags(write=False)
    return free


def route(begin: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the cells of a shortest way, both ends included, through doors too; `begin` alone if none leads."""
    free, before = floor_cells(), {end: end}
    queue = deque([end] if free[end] else [])
    while queue and begin not in before:
        row, column = queue.popleft()
        for there in ((row, column + 1), (row - 1, column), (row, column - 1), (row + 1, column)):
            if free[there] and there not in before:
                before[there] = (row, column)
                queue.append(there)
    way = [begin]
    while way[-1] != end and begin in before:
        way.append(before[way[-1]])
    return way


def is_clear(begin: tuple[float, float], end: tuple[float, float]) -> bool:
    """Say whether the player, 32 units wide, can go straight from place to place, both in units, and no door between.

    With 2 units to spare on each side.
    """
    free = floor_cells(doors=False)
    way = np.subtract(end, begin)
    for share in np.linspace(0, 1, 2 + int(np.hypot(*way) // 16)):
        x, y = np.asarray(begin) + share * way
        if not all(free[cell_at(x + right, y + up)] for right in (-18, 18) for up in (-18, 18)):
            return False
    return True


def before_door(door: str, other_side: bool = False) -> tuple[tuple[float, float], int]:
    """Return a place from which a door can be used, x and y in units, and the heading to it.

    South of a door or west of it, or on its other side.
    """
    cells = [(row, column) for row in range(ROWS) for column in range(COLUMNS) if PLAN[row][column] == door]
    (row, column), (last, _) = cells[0], cells[-1]
    x, y = middle(row, column)
    side = 1 if other_side else -1
    if row == last:  # its cells lie beside each other
        return (x, y + side * CELL), HEADINGS // 4 + (HEADINGS // 2 if other_side else 0)
    return (x + side * CELL, y), HEADINGS // 2 if other_side else 0


def door_sectors() -> list[int]:
    """Return the numbers that the engine gives to the doors."""
    return [_sectors().index(door) for door in DOORS]


def wad() -> bytes:
    """Write the map as a WAD file: a level of the name E1M1, in text (UDMF)."""
    settings = b'map E1M1 "Worldling" { sky1 = "SKY1", 0.0 }\n'
    lumps = [(b"MAPINFO", settings), (b"E1M1", b""), (b"TEXTMAP", _text().encode("ascii")), (b"ENDMAP", b"")]
    body, table = b"", b""
    for name, content in lumps:
        table += struct.pack("<ii8s", 12 + len(body), len(content), name)
        body += content
    return struct.pack("<4sii", b"PWAD", len(lumps), 12 + len(body)) + body + table


def _text() -> str:
    """Write vertices, lines, sides, sectors and things in the Universal Doom Map Format."""
    sectors = _sectors()
    parts, sides = ['namespace = "zdoom";'], 0
    vertices: dict[tuple[int, int], int] = {}
    for letter in sectors:
        space = SPACES[letter]
        parts.append(
            _block(
                "sector", heightfloor=space.bottom, heightceiling=space.top, texturefloor=space.floor,
                textureceiling=space.ceiling, lightlevel=space.light, **dict.fromkeys(_FLAT_SCALES, 1 / LARGER),
            )
        )  # fmt: skip
    for begin, end, front, back in _lines():
        ends = [vertices.setdefault(place, len(vertices)) for place in (begin, end)]
        parts.append(_block("sidedef", sector=sectors.index(front), **_textures(front, back)))
        line = {"v1": ends[0], "v2": ends[1], "sidefront": sides}
        if back in _SOLID:
            line |= {"blocking": True, "dontpegbottom": front in DOORS}
        else:
            parts.append(_block("sidedef", sector=sectors.index(back), **_textures(back, front)))
            line |= {"sideback": sides + 1, "twosided": True, "dontpegtop": back not in DOORS, "dontpegbottom": True}
        if back in DOORS:
            line |= {"special": 12, "arg1": DOOR_SPEED, "arg2": DOOR_WAIT, "playeruse": True, "repeatspecial": True}
        parts.append(_block("linedef", **line))
        sides += 1 if back in _SOLID else 2
    parts += [_block("vertex", x=x, y=y) for x, y in vertices]
    always = {f"skill{i}": True for i in range(1, 6)} | {"single": True, "class1": True}
    for row, column, kind in (*THINGS, (*_START, 1)):
        x, y = middle(row, column)
        parts.append(_block("thing", x=x, y=y, angle=90, type=kind, **always))
    return "\n".join(parts)


def _sectors() -> list[str]:
    """Return the letters in the order in which they are sectors."""
    return [letter for letter in SPACES if any(letter in row for row in PLAN)]


def _block(name: str, **values: str | float | bool) -> str:
    """Write one block of the format."""

    def written(value: str | float | bool) -> str:
        return f'"{value}"' if isinstance(value, str) else str(value).lower()

    return f"{name} {{ " + " ".join(f"{key} = {written(value)};" for key, value in values.items()) + " }"


def _textures(here: str, there: str) -> dict[str, str | float]:
    """Name the textures of the side of a line that faces `here`."""
    wall = SPACES[here].wall
    larger = dict.fromkeys(_SIDE_SCALES, 1 / LARGER) if wall in _LARGE and there not in (*DOORS, "*") else {}
    if there in _SOLID:
        return {"texturemiddle": MARKS[here] if there == "*" else wall, **larger}
    return {"texturetop": DOOR_FACES.get(there, wall), "texturebottom": wall, **larger}


def _lines() -> Iterator[tuple[tuple[int, int], tuple[int, int], str, str]]:
    """Give each line between two spaces: where it begins and ends, and what lies to the right and to the left of it.

    Lines are as long as they can be, so that textures go on across cells. Doors and what is solid lie to the left.
    """
    for down, right in ((0, -1), (0, 1), (-1, 0), (1, 0)):  # to the west, east, north and south of a cell
        for cells in _runs(down, right):
            (first, front, back), (last, *_) = cells[0], cells[-1]
            (west, south), (east, north) = corner(*first), corner(*last)
            west, east = min(west, east), max(west, east) + CELL
            south, north = min(south, north), max(south, north) + CELL
            ends = {
                (0, -1): ((west, south), (west, north)),
                (0, 1): ((east, north), (east, south)),
                (-1, 0): ((west, north), (east, north)),
                (1, 0): ((east, south), (west, south)),
            }
            yield *ends[down, right], front, back


def _runs(down: int, right: int) -> Iterator[list[tuple[tuple[int, int], str, str]]]:
    """Give rows of neighbouring cells that have the same two spaces on this side of them: `[(cell, front, back)]`."""
    order = [*DOORS, *(letter for letter in SPACES if letter not in DOORS)]
    rank = dict.fromkeys(_SOLID, 0) | {letter: i for i, letter in enumerate(order, 1)}
    outer, inner = (range(ROWS), range(COLUMNS)) if down else (range(COLUMNS), range(ROWS))
    for i in outer:
        run: list[tuple[tuple[int, int], str, str]] = []
        for j in inner:
            row, column = (i, j) if down else (j, i)
            front = PLAN[row][column]
            beside = (row + down, column + right)
            back = PLAN[beside[0]][beside[1]] if 0 <= beside[0] < ROWS and 0 <= beside[1] < COLUMNS else _SOLID[0]
            if run and (front, back) != run[-1][1:]:
                yield run
                run = []
            if rank[back] < rank[front]:
                run.append(((row, column), front, back))
        if run:
            yield run
