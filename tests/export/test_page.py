"""The page of an exported world: complete in itself, and its JavaScript does what the Python does."""

import base64
import gzip
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from worldling.export import bundle
from worldling.export.bundle import HERE, WORKER, one_file, pack, write_folder
from worldling.export.gallery import listing, told
from worldling.export.play_onnx import Noise
from worldling.player import PAGE
from worldling.types import ActionSpace

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
ABOUT = {"id": "w", "name": "w", "title": "A <b>world</b> & more", "fps": 10}


def run(code):
    """Run a module in node; returns what it printed, as json."""
    made = subprocess.run(["node", "--input-type=module"], input=code, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)


def parts_of(html):
    """Return the parts of a page of one file."""
    return json.loads(re.search(r"worldlingParts = (\{.*?\})</script>", html, re.S)[1])


def unpacked(text):
    """Undo `bundle._packed`."""
    length, _, digits = text.partition(" ")
    return gzip.decompress(base64.b85decode(digits.replace(".", "<"))[: int(length)])


@needs_node
@pytest.mark.parametrize("data", [b"", b"a", b"ab", bytes(range(256)) * 40 + b"xyz"])
def test_the_page_unpacks_what_python_packs(data):
    text = (HERE / "page" / "engine.js").read_text()
    digits = re.search(r"^const DIGITS = .*$", text, re.M)[0]
    found = [re.search(rf"^(async )?function {name}\(.*?^}}$", text, re.M | re.S) for name in ("unpacked", "joined")]
    parts = json.dumps({"data": bundle._packed(bundle._planes(data))})
    code = "\n".join([digits, f"const parts = {parts};", *(function[0] for function in found)])
    assert bytes(run(f'{code}\nconsole.log(JSON.stringify([...joined(await unpacked("data"))]));')) == data


def test_packed_bytes_may_stand_in_a_script():
    text = bundle._packed(bytes(range(256)) * 400)
    assert not set(text) & set("<\"\\'") and json.loads(bundle._script(text)) == text


def test_one_file_refers_to_no_other():
    html = one_file(pack(b"graph", b"encoder", ABOUT))
    tags = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert all(tag.startswith("data:") for tag in tags if tag), tags
    assert "A &lt;b>world&lt;/b> &amp; more · Worldling" in html


def test_all_modules_are_there_and_name_only_each_other():
    html = one_file(pack(b"graph", b"encoder", ABOUT))
    imports = json.loads(re.search(r'importmap">(.*?)</script>', html, re.S)[1])["imports"]
    assert "worldling/player.js" in imports and "worldling/engine.js" in imports
    for address in imports.values():
        text = base64.b64decode(address.partition(",")[2]).decode()
        named = re.findall(r'^(?:import|export)[^"]*from "([^"]+)"', text, re.M)
        assert set(named) <= set(imports), named
        assert not re.search(r"\bfetch\((?!`data:)", text), "an exported page asks no server"


def test_a_page_holds_its_graph():
    parts = parts_of(one_file(pack(b"the graph" * 100, b"encoder", ABOUT)))
    planes = unpacked(parts["graph"])
    assert planes[: len(planes) // 2] == (b"the graph" * 100)[0::2] and len(planes) == 900
    about = json.loads(parts["about"])
    assert about["title"] == ABOUT["title"]
    assert about["digest"] != json.loads(parts_of(one_file(pack(b"another", b"encoder", ABOUT)))["about"])["digest"]


def test_a_folder_shares_the_runtime(tmp_path):
    files = write_folder({"a": pack(b"1", b"encoder", ABOUT), "b": pack(b"2", b"encoder", ABOUT)}, tmp_path / "site")
    assert {file.name for file in files} == {"runtime.js", "a.js", "a.html", "b.js", "b.html"}
    assert {file.name for file in (tmp_path / "site").iterdir()} == {file.name for file in files}
    page = (tmp_path / "site" / "a.html").read_text()
    assert '<script src="runtime.js">' in page and '<script src="a.js">' in page
    assert "wasm" not in parts_of_script((tmp_path / "site" / "a.js").read_text())


def parts_of_script(text):
    return json.loads(re.search(r"\((?:worldlingParts, )(\{.*\})\)$", text, re.S)[1])


def test_both_engines_have_the_same_exports():
    """The player imports from either."""
    names = []
    for file in (PAGE / "engine.js", HERE / "page" / "engine.js"):
        text = file.read_text()
        found = set(re.findall(r"^export (?:async )?(?:function|class) (\w+)", text, re.M))
        for line in re.findall(r"^export const (.*);", text, re.M):
            found |= set(re.findall(r"(\w+) = ", line))
        for line in re.findall(r"^export \{ (.*) \}", text, re.M):
            found |= set(line.split(", "))
        names.append(found)
    asked = set()
    for file in PAGE.glob("*.js"):
        for line in re.findall(r'^import \{ (.*) \} from "\./engine\.js"', file.read_text(), re.M):
            asked |= set(line.split(", "))
    assert asked <= names[0] and asked <= names[1]


@needs_node
def test_the_worker_is_one_valid_script(tmp_path):
    file = tmp_path / "worker.js"
    file.write_text(bundle._worker())
    assert len(bundle._worker()) > sum((HERE / "page" / name).stat().st_size for name in WORKER) * 0.9
    subprocess.run(["node", "--check", str(file)], check=True, capture_output=True)


@needs_node
def test_the_page_draws_the_noise_that_python_draws():
    code = (HERE / "page" / "noise.js").read_text()
    found = run(
        f"{code}\nconsole.log(JSON.stringify([noise(0, 0, 512), noise(70000, 123456, 512)].map((a) => [...a])))"
    )
    for ours, theirs in zip((Noise(0).draw(0, (512,)), Noise(70000).draw(123456, (512,))), found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@needs_node
@pytest.mark.parametrize(
    "space, action",
    [
        (ActionSpace("discrete", (4,)), 2),
        (ActionSpace("multi_discrete", (3, 2)), [1, 1]),
        (ActionSpace("multi_binary", (2, 2, 2)), [1, 0, 1]),
        (ActionSpace("box", low=(-1.0, 0.0), high=(1.0, 512.0)), [0.25, 100.0]),
        (ActionSpace("none"), []),
    ],
)
def test_the_page_encodes_actions_as_python_does(space, action):
    text = (HERE / "page" / "world.js").read_text().replace('import { noise } from "./noise.js";', "")
    given = json.dumps({"kind": space.kind, "nvec": space.nvec, "low": space.low, "high": space.high})
    found = run(f"{text}\nconsole.log(JSON.stringify([...encode({given}, {json.dumps(action)})]))")
    np.testing.assert_allclose(space.encode(np.asarray(action, space.dtype)), found, atol=1e-6)


@needs_node
def test_the_page_goes_back_as_the_server_does():
    """Frames, branches that were left and the log of actions: one second a segment, ten frames a second."""
    code = (HERE / "page" / "history.js").read_text().replace('import { fork } from "./world.js";', "")
    found = run(f"""{code}
const fork = (state) => ({{ ...state }});
const history = new History(10), rgba = new Uint8Array(4);
const add = (index, action) => history.add({{ at: index }}, {{ index, rgba, action }});
add(0, null);
for (let index = 1; index <= 60; index++) add(index, index);
const back = history.branch(40);
const after = [history.newest, back.frame.index, back.state.at, back.actions.length, history.others];
for (let index = 41; index <= 55; index++) add(index, 100 + index);
const actions = [history.actions.length, history.actions[39], history.actions[40]];
const again = history.goTo(history.others[0].id);
console.log(JSON.stringify([after, actions, again.frame.index, history.actions.length, history.actions[59],
  history.others.length, history.nearest(-5).index, history.last(3).map(({{ index }}) => index)]));
""")
    after, actions, again, length, last, others, oldest, shown = found
    assert after == [40, 40, 25, 15, [{"id": 1, "at": 40, "newest": 60}]]
    assert actions == [55, 40, 141]
    assert (again, length, last, others, oldest, shown) == (60, 60, 60, 1, 0, [58, 59, 60])


def test_a_gallery_has_a_start_page_from_which_worlds_are_reached(make_world, tmp_path):
    world = make_world(clips=True)
    world.card |= {
        "about": {"title": "Tiny", "what": "Noise.", "how": "Press a key."},
        "cost": {"minutes": {"tokenizer": 2.0, "dynamics": 40.4}, "device": "a laptop"},
        "quality": {"psnr_h10_db": 29.6},
    }
    shown = listing(world, "tiny")
    assert shown["cost"] == "trained in 42 minutes on a laptop · PSNR 30 dB after 10 frames"
    assert shown["preview"].startswith("data:image/webp;base64,UklGR")
    files = write_folder({"tiny": pack(b"1", b"2", {**ABOUT, "id": "tiny"})}, tmp_path, [shown])
    assert {file.name for file in files} == {"runtime.js", "tiny.js", "tiny.html", "index.html"}
    start = parts_of((tmp_path / "index.html").read_text())
    assert start["gallery"] == [shown] and start["home"] == "index.html" and "wasm" not in start
    assert '"home": "index.html"' in (tmp_path / "runtime.js").read_text()


def test_a_card_that_says_nothing_gives_no_line():
    assert told({}) == ""


@needs_node
@pytest.mark.parametrize(
    "window, said",
    [
        ({}, ""),
        ({"worldlingEnd": False}, "This file was cut short"),
        ({"worldlingParts": None}, "A file that belongs to this page is missing"),
        ({"worldlingParts": {"runtime": "r"}}, "A file that belongs to this page is missing"),
        ({"worldlingParts": {"gallery": []}}, ""),
        ({"Worker": None, "DecompressionStream": None}, "too old to play: it has no workers, no DecompressionStream."),
        ({"HTMLScriptElement": {}}, "too old to play: it has no import maps."),
    ],
)
def test_a_page_that_cannot_play_says_why(window, said):
    there = {"worldlingEnd": True, "worldlingParts": {"runtime": "r", "graph": "g"}, **window}
    code = f"""
    let ready; const body = {{ textContent: "page", appendChild(line) {{ body.textContent = line.textContent; }} }};
    globalThis.window = {{
      HTMLScriptElement: {{ supports: () => true }}, WebAssembly: {{}}, Worker: {{}}, DecompressionStream: {{}},
      OffscreenCanvas: {{}}, ...{json.dumps(there)},
    }};
    globalThis.HTMLScriptElement = window.HTMLScriptElement;
    globalThis.document = {{
      body, addEventListener: (_, then) => {{ ready = then; }},
      createElement: () => ({{ style: {{}}, setAttribute() {{}} }}),
    }};
    {(HERE / "page" / "guard.js").read_text()}
    ready();
    console.log(JSON.stringify(body.textContent));
    """
    shown = run(code)
    assert shown == "page" if not said else said in shown


def test_files_of_the_page_are_short_enough_to_read():
    for file in (HERE / "page").iterdir():
        lines = file.read_text().splitlines()
        assert len(lines) <= 400 and max(map(len, lines)) <= 120, file.name
