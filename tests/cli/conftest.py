"""A world folder from a stranger, and the check that the commands refuse it in one line."""

import copy

import numpy as np
import pytest

from worldling.cli.commands import main
from worldling.config import to_dict
from worldling.data.store import DatasetMeta
from worldling.world_files import save_world


@pytest.fixture
def secret():
    """Text of a file beside the folder, which nothing may show."""
    return "the-secret-of-another-file"


@pytest.fixture
def folder(make_world, tmp_path):
    """A whole world with clips, a card and a mean frame."""
    world = copy.copy(make_world(clips=True))
    world.card = {"source": to_dict(DatasetMeta("test/Tiny-v0", 64, world.action_space, fps=10.0))}
    world.mean_frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    return save_world(world, tmp_path / "stranger", half=False)


@pytest.fixture
def refused(folder, secret, monkeypatch, capsys):
    """A function that opens the folder with several commands, and returns the one line that all of them say."""
    served = []
    monkeypatch.setattr("worldling.serve.run.serve_catalogue", lambda *a, **k: served.append(a))

    def check():
        lines = set()
        for command in (["info", str(folder)], ["play", str(folder), "--no-browser", "--port", "0"]):
            status = main(command)
            out, err = capsys.readouterr()
            assert (status, out) == (2, ""), err
            assert err.startswith("worldling: `") and err.count("\n") == 1
            assert "Traceback" not in err and secret not in err and err.rstrip("\n").isprintable(), repr(err)
            lines.add(err)
        assert not served and len(lines) == 1
        return lines.pop()

    return check
