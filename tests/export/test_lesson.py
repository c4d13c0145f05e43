"""Lessons: what a file may say, and that page, Python and engine measure the same."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from worldling.cli.commands import main
from worldling.errors import ConfigError, ExportError
from worldling.export import lesson as lessons
from worldling.export.bundle import HERE
from worldling.export.lesson import (
    QUANTITIES,
    THINGS,
    bundled_lessons,
    measured,
    on_plane,
    read_lesson,
    run,
    told,
    usual_error,
)
from worldling.scenes.seen import read
from worldling.world_files import load_world

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
WHOLE = """
title = "t"
text = "one\\n\\ntwo"
scene = "roll"
quantity = "place"
[[choice]]
label = "no push"
[[question]]
text = "?"
answers = ["a", "b"]
right = 2
"""


@pytest.fixture
def scene():
    pytest.importorskip("mujoco")
    from worldling.data.simulators import check_scenes

    check_scenes()
    from worldling.scenes.env import SceneEnv

    opened = []

    def make(name):
        opened.append(SceneEnv(name))
        return opened[-1]

    yield make
    for env in opened:
        env.close()


@pytest.mark.parametrize(
    "old, new, said",
    [
        ('"roll"', '"rol"', "`scene` must be one of"),
        ('"place"', '"weight"', "`quantity` must be one of"),
        ('title = "t"', 'title = "t"\nthing = "blue"', "`thing` must be one of"),
        ('title = "t"', 'title = "t"\nseconds = 9.0', "`seconds` must be from"),
        ('title = "t"', 'title = "t"\nseed = -1', "`seed` must be 0 or more"),
        ('title = "t"', 'titel = "t"', "titel"),
        ('label = "no push"', 'label = "far"\npush = [2.0, 0.0]', "`choice.push` must be from -1 to 1"),
        ('label = "no push"', 'label = "far"\npush = [0.5]', "`lesson.choice.push` must be a list"),
        ("right = 2", "right = 3", "`question.right` must be from 1"),
        ('[[choice]]\nlabel = "no push"', "choice = []", "`choice` must be given"),
        ("right = 2", "right = ", "must be TOML"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(tmp_path, old, new, said):
    file = tmp_path / "lesson.toml"
    file.write_text(WHOLE)
    assert read_lesson(file).question[0].right == 2
    file.write_text(WHOLE.replace(old, new))
    with pytest.raises(ConfigError, match=re.escape(said)) as found:
        read_lesson(file)
    assert "\n" not in str(found.value)


def test_the_help_names_all_bundled_lessons(capsys):
    with pytest.raises(SystemExit):
        main(["lesson", "--help"])
    assert f"bundled lesson: {', '.join(bundled_lessons())}" in " ".join(capsys.readouterr().out.split())


def test_a_name_that_is_no_lesson_names_those_that_are():
    with pytest.raises(ConfigError, match="ramp"):
        read_lesson("rampe")


def test_a_world_of_something_else_is_refused(tmp_path, capsys):
    file = tmp_path / "lesson.toml"
    file.write_text(WHOLE.replace('title = "t"', 'title = "t"\nworld = "pusht"'))
    assert main(["lesson", str(file), "--html", str(tmp_path / "w.html")]) == 2
    assert "`world` must be one of physics scenes, got 'pusht'" in capsys.readouterr().err
    assert main(["lesson", str(file), "--html", str(tmp_path / "nowhere" / "w.html")]) == 2
    assert "`--html` must be a file in a folder that exists" in capsys.readouterr().err
    assert not list(tmp_path.glob("**/*.html"))


@needs_node
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_the_page_measures_what_python_measures(quantity):
    rng = np.random.default_rng(0)
    matrix, seen = np.eye(3) + 0.1 * rng.standard_normal((3, 3)), rng.random((7, 2))
    wanted = measured(quantity, on_plane(seen, matrix), 12.5)
    places = f"{json.dumps(seen.tolist())}.map((seen) => onPlane(seen, {json.dumps(matrix.ravel().tolist())}))"
    got = node(f"measured({json.dumps(quantity)}, {places}, 12.5)")
    assert np.allclose(got, wanted)


@needs_node
@pytest.mark.parametrize("thing", THINGS)
def test_the_page_sees_what_python_sees(thing):
    frame = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    colour = {"red": (220, 20, 20), "yellow": (240, 210, 10)}[thing]
    frame[3:9, 10:15] = colour
    things = read(frame[None])
    wanted = (things.agent if thing == "red" else things.patient)[0]
    rgba = np.dstack([frame, np.full((16, 16), 255, np.uint8)]).ravel().tolist()
    assert np.allclose(node(f'centre("{thing}", {{ data: {rgba}, width: 16, height: 16 }})'), wanted, atol=1e-5)
    grey = [90, 90, 90, 255] * 256
    assert node(f'centre("{thing}", {{ data: {grey}, width: 16, height: 16 }})') is None


@needs_node
def test_what_is_not_seen_is_left_out():
    places = "[[0, 0], null, [2, 1], [4, 1], [6, 1]]"
    assert node(f'measured("speed", {places}, 10)') == [None, None, None, 20, 20]
    assert node(f'measured("distance", {places}, 10)')[:2] == [0, None]
    assert node("apart([1, 2, null], [3, null, 4])") == 2


@needs_node
@pytest.mark.parametrize("low, high", [(0, 1), (-0.41, 0.83), (3, 3), (0, 0.0123), (-7, 240)])
def test_marks_are_even_and_hold_all(low, high):
    found = node(f"marks({low}, {high})", "plot.js")
    steps = np.diff(found)
    assert found[0] <= low and found[-1] >= high and np.allclose(steps, steps[0]) and 1 <= len(steps) <= 7


def node(expression, name="measure.js"):
    """Return the value of an expression over a module of the page."""
    code = f"{(HERE / 'page' / name).read_text()}\nconsole.log(JSON.stringify({expression}));"
    made = subprocess.run(["node", "--input-type=module"], input=code, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)


@pytest.mark.parametrize("name", ["collide", "roll"])
def test_a_place_in_the_picture_is_found_on_its_plane(scene, name):
    env = scene(name)
    for seed in range(3):
        env.reset(seed=seed)
        for origin, up in (((0, 0, 1), (0, 1, 0)), ((0, 1, 0), (0, 0, 1))):
            place = env.trial.agent_place()
            matrix = env.camera.to_plane(place * np.array(origin), np.array([1.0, 0, 0]), np.array(up, float))
            (found,) = on_plane(read(env.draw(256)[None]).agent, matrix)
            assert np.abs(found - place[[0, 1 if up[1] else 2]]).max() < 0.03  # the centre of what is seen of it


@pytest.mark.slow
@pytest.mark.parametrize("name", bundled_lessons())
def test_a_bundled_lesson_is_within_the_usual_error(scene, name, monkeypatch):
    monkeypatch.setattr(lessons, "OTHERS", 6)
    lesson, world = read_lesson(name), load_world("physics")
    env = scene(lesson.scene)
    runs = run(lesson, world, env, lesson.seed)
    assert np.abs(runs.real - runs.true).mean() < 0.03
    usual = usual_error(lesson, world, env, quiet=True)
    assert (runs.error.mean(1) <= usual.mean()).all()
    assert len(lesson.question) == 3
    page = told(lesson, runs, usual, world.config.fps)
    assert len(page["usual"]) == len(page["choices"][0]["true"]) == round(lesson.seconds * world.config.fps) + 1


def test_a_world_that_loses_the_thing_is_refused(scene, monkeypatch):
    monkeypatch.setattr(lessons, "OTHERS", 2)
    lesson, env = read_lesson("ramp"), scene("roll")
    runs = run(lesson, load_world("physics"), env, lesson.seed)
    lost = lessons.Runs(runs.frames, runs.true, runs.real, np.full_like(runs.true, np.nan), runs.to_plane, runs.clip)
    monkeypatch.setattr(lessons, "run", lambda *_: lost)
    with pytest.raises(ExportError, match="must keep red in sight"):
        usual_error(lesson, load_world("physics"), env, quiet=True)
