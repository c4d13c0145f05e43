"""The map of Doom: closed, all of it within reach, and well-formed for the engine."""

import re
import struct

import numpy as np

from worldling.scenes import doom_map
from worldling.scenes.doom_map import CELL, COLUMNS, DOORS, PLAN, ROWS, SPACES


def test_walls_close_it_and_every_place_is_reached_through_doors():
    letters = np.array([list(row) for row in PLAN])
    assert letters.shape == (ROWS, COLUMNS) and set(letters.ravel()) == {*SPACES, "#", "*"}
    edge = np.concatenate([letters[0], letters[-1], letters[:, 0], letters[:, -1]])
    assert set(edge) <= {"#", "*"}
    cells = [tuple(cell) for cell in np.argwhere(doom_map.floor_cells())]
    ways = [doom_map.route((4, 13), cell) for cell in cells]
    assert all(way[0] == (4, 13) and way[-1] == cell for way, cell in zip(ways, cells, strict=True))
    assert all(abs(np.diff(way, axis=0)).sum(axis=1).tolist() == [1] * (len(way) - 1) for way in ways)
    assert doom_map.route((4, 13), (8, 9)) == [(4, 13)], "a tree stands there"


def test_places_and_cells_are_each_other():
    for cell in ((0, 0), (4, 13), (14, 27)):
        assert doom_map.cell_at(*doom_map.middle(*cell)) == cell
    assert doom_map.cell_at(-50, 5000) == (0, 0)
    assert doom_map.is_clear(doom_map.middle(5, 1), doom_map.middle(4, 6))
    assert not doom_map.is_clear(doom_map.middle(2, 12), doom_map.middle(4, 12)), "a pillar"
    assert not doom_map.is_clear(doom_map.middle(5, 13), doom_map.middle(7, 13)), "a door"


def test_doors_are_faced_from_both_sides():
    for door in DOORS:
        for other in (False, True):
            (x, y), heading = doom_map.before_door(door, other)
            angle = np.radians(heading * doom_map.TURN)
            row, column = doom_map.cell_at(x + CELL * round(np.cos(angle)), y + CELL * round(np.sin(angle)))
            assert PLAN[row][column] == door and doom_map.floor_cells(doors=False)[doom_map.cell_at(x, y)]


def test_the_file_holds_a_level_whose_sides_all_have_textures():
    content = doom_map.wad()
    kind, count, table = struct.unpack("<4sii", content[:12])
    lumps = [struct.unpack("<ii8s", content[table + 16 * i : table + 16 * (i + 1)]) for i in range(count)]
    assert kind == b"PWAD" and [name.rstrip(b"\0") for *_, name in lumps] == [
        b"MAPINFO",
        b"E1M1",
        b"TEXTMAP",
        b"ENDMAP",
    ]
    begin, size, _ = lumps[2]
    text = content[begin : begin + size].decode("ascii")
    blocks = {
        kind: re.findall(rf"^{kind} {{(.*)}}$", text, re.M) for kind in ("linedef", "sidedef", "vertex", "sector")
    }
    assert len(blocks["sector"]) == len(SPACES)
    used = set()
    for line in blocks["linedef"]:
        ends = [int(re.search(rf"{end} = (\d+);", line)[1]) for end in ("v1", "v2")]
        assert max(ends) < len(blocks["vertex"]) and ends[0] != ends[1]
        used |= {int(number) for number in re.findall(r"side(?:front|back) = (\d+);", line)}
        assert ("special = 12;" in line) <= ("twosided = true;" in line)
    assert used == set(range(len(blocks["sidedef"]))) and all("texture" in side for side in blocks["sidedef"])
    assert sum("special = 12;" in line for line in blocks["linedef"]) == 2 * len(DOORS), "two faces each, in one piece"
