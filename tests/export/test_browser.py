"""An exported page in a real browser, from `file://`: it plays, alone, and its frames are the reference's."""

import asyncio
import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.slow

from browser import PROGRAMS, open_tab

from worldling.export.graph import build_graph
from worldling.export.play_onnx import World
from worldling.export.write import export_html
from worldling.world_files import load_world


@pytest.fixture(params=PROGRAMS)
def browser(request):
    if PROGRAMS[request.param] is None:
        pytest.skip(f"needs {request.param}")
    return request.param


#: A session beside the page's own, which steps through actions and keeps every frame.
SESSION = """
const engine = await import("worldling/engine.js"), pixels = new Map(), actions = ACTIONS;
let opened, seen = () => {};
const ready = new Promise((resolve) => { opened = resolve; });
const link = new engine.Link("other", {
  up() {}, down() {}, refused() {},
  message(message) { if (message.type === "status") opened(); },
  frame(frame) {
    link.send({ type: "ack", seq: frame.seq });
    pixels.set(frame.index, frame.dream.data);
    seen(frame.index);
  },
});
const reached = (index) => new Promise((resolve) => { seen = (now) => now === index && resolve(); });
await ready;
link.send({ type: "pause", on: true });
let arrived = reached(0);
link.send({ type: "reset", start: START });
await arrived;
pixels.clear();
for (let i = 0; i < actions.length; i++) {
  arrived = reached(i + 1);
  link.send({ type: "input", id: i + 1, action: actions[i] });
  link.send({ type: "step" });
  await arrived;
}
const shared = await engine.shared();
link.close();
const rgb = (data) => btoa(Array.from({ length: data.length / 4 * 3 },
  (_, i) => String.fromCharCode(data[4 * Math.floor(i / 3) + (i % 3)])).join(""));
return { shared, frames: [...pixels].sort(([a], [b]) => a - b).map(([index, data]) => [index, rgb(data)]) };
"""


KINDS = {"plain": {}, "warp": {"warp": 2}, "keypoints": {"keypoints": 5}, "passes": {"passes": 2}}


@pytest.fixture(scope="module")
def pages(make_world, tmp_path_factory):
    """The function that returns a kind of world and its page, made once."""
    made = {}

    def page(kind):
        if kind not in made:
            world, file = make_world(clips=True, **KINDS[kind]), tmp_path_factory.mktemp("page") / "w.html"
            export_html(world, file, bits=32)
            made[kind] = world, file
        return made[kind]

    return page


@pytest.mark.parametrize("kind", KINDS)
def test_frames_in_the_page_are_those_outside(browser, pages, kind, tmp_path):
    if browser != "chromium" and kind != "plain":
        pytest.skip("one kind is enough for a second browser")
    world, file = pages(kind)
    actions = np.random.default_rng(0).integers(0, 3, 64).tolist()

    async def play():
        async with open_tab(browser, file.as_uri(), tmp_path / "profile") as tab:
            code = SESSION.replace("ACTIONS", json.dumps(actions)).replace("START", "1")
            return await tab.run(code), tab.requests, tab.errors

    found, requests, errors = asyncio.run(play())
    graph = file.with_suffix(".onnx")
    graph.write_bytes(build_graph(world, bits=32).SerializeToString())
    outside = World(str(graph))  # which is compared with the reference in test_graph.py
    outside.start(1)
    wanted = [outside.step(world.action_space.encode(action)) for action in actions]
    got = {index: np.frombuffer(base64.b64decode(data), np.uint8).reshape(64, 64, 3) for index, data in found["frames"]}
    assert list(got) == list(range(1, len(actions) + 1))
    same = [np.array_equal(frame, wanted[index - 1]) for index, frame in got.items()]
    assert np.mean(same) >= 0.95
    assert set(requests) <= {file.as_uri()}, "no request leaves the page"
    assert not errors


def test_a_link_plays_the_same_frames_again(browser, pages, tmp_path):
    _, file = pages("plain")
    actions = [1, 1, 1, 2, 0, 0, 2, 1] * 2

    async def play():
        async with open_tab(browser, file.as_uri(), tmp_path / "first") as tab:
            code = SESSION.replace("ACTIONS", json.dumps(actions)).replace("START", "0")
            found = await tab.run(code)
        async with open_tab(browser, f"{file.as_uri()}#play={found['shared']}", tmp_path / "second") as tab:
            await tab.until('document.getElementById("pause-label").textContent === "Play"')
            await asyncio.sleep(0.5)
            shown = await tab.run('return document.getElementById("dream").toDataURL("image/png")')
        return dict(found["frames"]), shown

    frames, shown = asyncio.run(play())
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown.partition(",")[2]))).convert("RGB"))
    last = np.frombuffer(base64.b64decode(frames[len(actions)]), np.uint8).reshape(64, 64, 3)
    assert np.array_equal(picture, last)


def test_a_broken_link_is_told_in_one_line(browser, pages, tmp_path):
    _, file = pages("plain")

    async def play():
        async with open_tab(browser, f"{file.as_uri()}#play=q1ZKNFSyUlBKTE5JTVGqBQA", tmp_path / "profile") as tab:
            await tab.until('document.getElementById("overlay-text").textContent.includes("cut short")')

    asyncio.run(play())


def test_a_picture_of_ones_own_is_taken_up(browser, pages, tmp_path):
    _, file = pages("plain")
    code = """
    const canvas = new OffscreenCanvas(90, 60), context = canvas.getContext("2d");
    context.fillStyle = "#4060ff"; context.fillRect(0, 0, 90, 60);
    const engine = await import("worldling/engine.js");
    const line = await engine.startFrom("", await canvas.convertToBlob());
    return line;
    """

    async def play():
        async with open_tab(browser, file.as_uri(), tmp_path / "profile") as tab:
            await tab.until('document.getElementById("pause-label").textContent === "Pause" && '
                            'document.getElementById("overlay").hidden')  # fmt: skip
            line = await tab.run(code)
            await tab.until('document.getElementById("reset-label").textContent === "to your picture"')
            return line, tab.errors

    line, errors = asyncio.run(play())
    assert not errors
    assert line == "", "one colour is encoded no worse than the noise that this world starts from"


@pytest.mark.parametrize("kept", [0.3, 0.999])
def test_a_page_that_was_cut_short_says_so(browser, pages, tmp_path, kept):
    _, file = pages("plain")
    whole, cut = file.read_bytes(), tmp_path / "cut.html"
    cut.write_bytes(whole[: int(kept * len(whole))])

    async def play():
        async with open_tab(browser, cut.as_uri(), tmp_path / "profile") as tab:
            await tab.until("document.body.textContent.startsWith('This file was cut short')")

    asyncio.run(play())


def test_a_page_that_was_damaged_says_so(browser, pages, tmp_path):
    _, file = pages("plain")
    page, damaged = file.read_text(), tmp_path / "damaged.html"
    at = page.index('"graph": "') + 2000
    damaged.write_text(page[:at] + ("0" if page[at] != "0" else "1") + page[at + 1 :])

    async def play():
        async with open_tab(browser, damaged.as_uri(), tmp_path / "profile") as tab:
            await tab.until("document.getElementById('overlay-text').textContent.includes('was damaged')")

    asyncio.run(play())


def test_a_lesson_measures_in_the_page_what_it_measures_here(browser, tmp_path, monkeypatch):
    if browser != "chromium":
        pytest.skip("one browser is enough")
    pytest.importorskip("mujoco")
    from worldling.data.simulators import check_scenes
    from worldling.export import lesson as lessons

    check_scenes()
    from worldling.scenes.env import SceneEnv

    monkeypatch.setattr(lessons, "OTHERS", 1)
    lesson, file = lessons.read_lesson("friction"), tmp_path / "lesson.html"
    lessons.export_lesson(lesson, file)
    scene = SceneEnv(lesson.scene)
    runs = lessons.run(lesson, load_world(lesson.world), scene, lesson.seed)
    scene.close()
    choose = """
    document.querySelectorAll("input[name=choice]")[CHOICE].click();
    document.getElementById("run").click();
    """

    async def play():
        async with open_tab(browser, file.as_uri(), tmp_path / "profile") as tab:
            await tab.until("!document.getElementById('run').disabled")
            await tab.run(choose.replace("CHOICE", "2"))
            await tab.until("globalThis.lessonRun && !document.getElementById('run').disabled")
            found = await tab.run("return globalThis.lessonRun")
            await tab.run("document.querySelector('#questions input').click()")
            told = await tab.run("return document.querySelector('#questions [role=status]').textContent")
            await tab.run(choose.replace("CHOICE", "4"))
            await tab.until("!document.getElementById('run').disabled && !document.getElementById('none').hidden")
            own = await tab.run("return globalThis.lessonRun")
            return found, told, own, tab.requests, tab.errors

    found, told, own, requests, errors = asyncio.run(play())
    assert np.allclose(found["real"], runs.true[2])
    assert np.abs(np.array(found["dream"]) - runs.dreamed[2]).max() < 0.02
    assert found["off"] == pytest.approx(runs.error[2].mean(), abs=0.01)
    assert told == f"Not so. {lesson.question[0].because}"
    assert own["off"] is None
    assert np.abs(np.array(own["dream"]) - runs.dreamed[0]).max() < 0.02, "a hand that rests pushes nothing"
    assert set(requests) <= {file.as_uri()}
    assert not errors
