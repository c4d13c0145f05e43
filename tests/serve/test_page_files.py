"""The files of the page: they parse, name only elements that exist, and read what the server writes."""

import base64
import json
import re
import shutil
import subprocess

import pytest

from worldling.player import PAGE
from worldling.serve import messages

HTML = (PAGE / "index.html").read_text()
SCRIPTS = sorted(PAGE.glob("*.js"))
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")

BROWSER = """
const element = () => ({
  getContext: () => ({ drawImage() {} }), addEventListener() {}, style: {}, append() {}, replaceChildren() {},
  setAttribute() {},
});
globalThis.document = { createElement: element, documentElement: null };
globalThis.getComputedStyle = () => ({});
"""


def run(name, expression, browser=False):
    """Evaluate an expression in the page's own file `name`, under node."""
    code = f"{BROWSER if browser else ''}{(PAGE / name).read_text()}\nconsole.log(JSON.stringify({expression}));"
    done = subprocess.run(["node", "--input-type=module", "-"], input=code, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_node
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse(script):
    done = subprocess.run(["node", "--check", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_scripts_name_only_elements_of_the_page():
    ids = re.findall(r'\sid="([\w-]+)"', HTML)
    assert len(ids) == len(set(ids))
    for script in SCRIPTS:
        for name in re.findall(r'\$\("([\w-]+)"\)', script.read_text()):
            assert name in ids, f"{script.name} asks for #{name}"


def test_files_are_short_enough_to_read():
    for file in PAGE.iterdir():
        lines = file.read_text().splitlines()
        assert len(lines) <= 400 and max(map(len, lines)) <= 120, file.name


@needs_node
def test_the_page_unpacks_what_the_server_packs():
    fields = dict(seq=7, index=70, input_id=5, mse=2.5, num_branches=3, flags=messages.PEEK)
    data = base64.b64encode(messages.pack_frame(b"dream", b"real!", **fields)).decode()
    bytes_of = f"Uint8Array.from(atob('{data}'), (c) => c.charCodeAt(0)).buffer"
    expression = f"(({{ dream, real, ...rest }}) => [rest, dream.size, real.size])(unpack({bytes_of}))"
    header, *sizes = run("link.js", expression)
    assert sizes == [5, 5]
    wanted = {"flags": 1, "numBranches": 3, "seq": 7, "index": 70, "inputId": 5, "mse": 2.5}
    assert {name: header[name] for name in wanted} == wanted
    assert header["score"] is None, "no score is not a number"


@needs_node
def test_thumbnails_come_back_with_the_branch_that_was_left():
    code = """(() => {
      const timeline = new Timeline(document.createElement(), 600, 10, {}), thumbs = () => [...timeline.thumbs.keys()];
      for (let index = 0; index <= 50; index += 5) timeline.add(index, null);
      const all = thumbs();
      timeline.add(20, null);
      timeline.add(30, null);
      const branched = [thumbs(), timeline.newest];
      timeline.returnTo({ at: 20, newest: 50 });
      return [all, branched, [thumbs(), timeline.newest]];
    })()"""
    assert run("timeline.js", code, browser=True) == [[0, 1, 2, 3, 4, 5], [[0, 1, 2, 3], 30], [[0, 1, 2, 3, 4, 5], 50]]


@needs_node
def test_what_was_left_can_be_returned_to_the_latest_first():
    code = """(() => {
      const list = { replaceChildren(...items) { this.items = items; } }, hint = {}, lines = { replaceChildren() {} };
      const returns = new Returns({ lines, list, hint }, { x: () => 0.5 }, 10, () => {});
      const before = hint.hidden;
      returns.update([{ id: 1, at: 5, newest: 20 }, { id: 2, at: 123, newest: 165 }]);
      return [before, hint.hidden, returns.others.map((other) => returns.span(other))];
    })()"""
    wanted = ["at 12.3 s, 4.2 s long", "at 0.5 s, 1.5 s long"]
    assert run("returns.js", code, browser=True) == [False, True, wanted]
