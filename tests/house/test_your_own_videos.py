"""docs/your_own_videos.md is true: every command in it runs, in order, on clips that are not square."""

import json
import re
import shlex
import signal
import subprocess
import sys
from os import environ
from pathlib import Path

import av
import numpy as np
import pytest

from worldling.cli import build_parser, main
from worldling.data.store import open_dataset, read_meta

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "your_own_videos.md").read_text()
COMMANDS = [line for body in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) for line in body.splitlines()]
#: what makes each command short enough for a test
SHORT = {
    "import": [],
    "info": [],
    "train": ["--steps", "3", "--size", "xs"],
    "play": ["--no-browser", "--port", "0", "--backend", "reference", "--json"],
    "judge": ["--starts", "4", "--horizons", "1,2", "--suite", "fidelity", "--backend", "reference"],
}


def write_clip(file, seed, frames=60):
    """A ball that the actions move left and right, 128 x 96 px, 20 frames a second; and the table of them."""
    rng = np.random.default_rng(seed)
    actions, x = rng.integers(0, 2, frames - 1), 60
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=20, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for t in range(frames):
            picture = np.full((96, 128, 3), (30, 40, 60), np.uint8)
            picture[40:56, x : x + 16] = (230, 180, 60)
            x = int(np.clip(x + 4 * (2 * actions[t] - 1), 0, 112)) if t < frames - 1 else x
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    file.with_suffix(".csv").write_text("\n".join(["way", *map(str, actions)]) + "\n")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with clips to train on and clips to judge on, which one is in."""
    for folder, seeds in (("clips", (0, 1, 2)), ("clips-test", (3, 4))):
        (tmp_path / folder).mkdir()
        for seed in seeds:
            write_clip(tmp_path / folder / f"{seed}.mp4", seed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_every_command_runs_in_order(desk, capsys):
    assert {shlex.split(command)[1] for command in COMMANDS} == set(SHORT)
    for command in COMMANDS:
        given = shlex.split(command)[1:]
        build_parser().parse_args(given)  # as it stands on the page
        given += SHORT[given[0]]
        if given[0] == "play":
            _play(given)
        else:
            assert main(given) == 0, (command, capsys.readouterr().err)
    meta = read_meta("data/clips")
    assert (meta.picture_px, meta.fit, meta.action_space.kind) == ((0, 8, 64, 48), "pad", "discrete")
    assert json.loads((desk / "worlds/clips/card.json").read_text())["source"]["picture_px"] == [0, 8, 64, 48]
    assert (desk / "worlds/clips/judge/report.html").exists()


def _play(given):
    process = subprocess.Popen(
        [sys.executable, "-m", "worldling", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        line = process.stdout.readline()
        assert '"url"' in line, process.stderr.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    "options, picture, aspect",
    [
        ([], (0, 8, 64, 48), 4 / 3),
        (["--fit", "crop"], (), 1.0),
        (["--fit", "squeeze"], (), 4 / 3),
        (["--size-px", "96x72"], (0, 12, 96, 72), 4 / 3),
        (["--size-px", "72x96", "--fit", "crop"], (12, 0, 72, 96), 3 / 4),
    ],
)
def test_clips_are_fitted_as_recordings_are(desk, options, picture, aspect, capsys):
    assert main(["import", "clips", "--out", "d", *options]) == 0
    assert capsys.readouterr().err.count("pictures of 128x96 are") == 1, "said once"
    meta = read_meta("d")
    assert meta.picture_px == picture and meta.aspect == pytest.approx(aspect, abs=1e-3)
    frames = open_dataset("d").frames(0)
    left, top, width, height = picture or (0, 0, meta.size_px, meta.size_px)
    inside = frames[:, top : top + height, left : left + width]
    assert inside.min() > 15 and frames.astype(int).sum() == inside.astype(int).sum()


def test_clips_of_several_shapes_are_said_to_fill_their_pixels(desk):
    with av.open("clips/tall.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 96, "yuv420p"
        for _ in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((96, 64, 3), 99, np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    Path("clips/tall.csv").write_text("\n".join("1" * 19) + "\n")
    assert main(["import", "clips", "--out", "d"]) == 0
    assert read_meta("d").picture_px == ()


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:)([^)#:]+)\)", TEXT))
def test_its_links_lead_somewhere(target):
    assert (ROOT / "docs" / target).exists()
