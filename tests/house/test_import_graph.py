"""The finder of imports sees every spelling, and the finder of cycles every cycle."""

import pytest
from import_graph import find_cycle, find_imports

KNOWN = frozenset({"house", "house.attic", "house.attic.box", "house.attic.lamp", "house.cellar"})


def seen(source, module="house.attic.box", is_package=False):
    return [found.module for found in find_imports(source, module, KNOWN, is_package)]


@pytest.mark.parametrize(
    "source",
    [
        "import house.cellar",
        "import house.cellar as below",
        "import os, house.cellar",
        "from house import cellar",
        "from house import cellar as below",
        "from house.cellar import coal",
        "from house.cellar import *",
        "from .. import cellar",
        "from ..cellar import coal",
        "def f():\n    from house import cellar",
        "def f():\n    import house.cellar",
        "if TYPE_CHECKING:\n    from house.cellar import coal",
        "try:\n    import house.cellar\nexcept ImportError:\n    pass",
        "importlib.import_module('house.cellar')",
        "import_module('house.cellar')",
        "__import__('house.cellar')",
        "importlib.import_module('..cellar', __package__)",
        "load('house.cellar:coal')",
        "NAMES = {'coal': 'house.cellar'}",
        "importlib.import_module(f'house.cellar.{name}')",
    ],
)
def test_every_spelling_is_seen(source):
    assert seen(source) == ["house.cellar"]


@pytest.mark.parametrize(
    "source",
    [
        "import os.path",
        "from household import cellar",
        "import household.cellar",
        "x = 'cellar'",
        "x = 'see house.cellar for coal'",
        "x = 'house'",
        "'''The house.cellar is below.'''",
        "from os import house",
    ],
)
def test_nothing_else_is_taken_for_an_import(source):
    assert seen(source) == []


def test_names_are_those_of_the_module_they_are_in():
    assert seen("from house.attic import box, lamp, dust") == ["house.attic.box", "house.attic.lamp", "house.attic"]
    assert seen("from house import load") == seen("import house") == seen("x = f'house.{name}'") == ["house"]
    assert seen("from . import lamp") == seen("from .lamp import light") == ["house.attic.lamp"]
    assert seen("from . import lamp", "house.attic", is_package=True) == ["house.attic.lamp"]
    assert seen("from .attic import lamp", "house", is_package=True) == ["house.attic.lamp"]


def test_the_line_is_told():
    (found,) = find_imports("import os\n\n\ndef f():\n    import house.cellar\n", "house.attic", KNOWN)
    assert found.line == 5


def test_cycles_are_found_wherever_they_begin():
    assert find_cycle({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}) == []
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"b"}}) == ["b", "c", "d", "b"]
    assert find_cycle({"a": {"a"}}) == ["a", "a"]
    assert find_cycle({"a": {"elsewhere"}}) == []
