"""Write a page that plays a world by itself: one HTML file, or a folder for any host.

A page is the player (worldling/player) with another engine.js, which makes the frames in a worker: the world's graph,
run by onnxruntime-web, and the session in JavaScript (worldling/export/page). In one file all of it is text: modules as
`data:` addresses, the rest as base 85 of gzip, so that the page opens by a double click, where a browser lets it read
no other file. In a folder the runtime lies in a script of its own, which all worlds of the folder share.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worldling.config import write_atomic
from worldling.errors import ExportError
from worldling.player import PAGE

HERE = Path(__file__).parent
#: Modules of the worker, those that others import first.
WORKER = ("noise.js", "world.js", "history.js", "worker.js")
#: Modules of a lesson's page, beside the engine.
LESSON = ("measure.js", "plot.js", "lesson.js")
#: What a page runs before anything else.
GUARD = HERE / "page" / "guard.js"
#: Files of the page that an exported one does not have.
LEFT_OUT = {"link.js", "engine.js"}
RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm.gz")


@dataclass(frozen=True)
class Packed:
    """A world as its page holds it. about: json that the player reads; graph, encoder: as of `_packed`."""

    about: dict[str, Any]
    graph: str
    encoder: str

    @property
    def title(self) -> str:
        """What the world is called."""
        return str(self.about["title"])


def pack(graph: bytes, encoder: bytes, about: dict[str, Any]) -> Packed:
    """Return a world's page parts; graph, encoder: ONNX; about: of `graph.about`. Links name it by its digest."""
    digest = hashlib.sha256(graph + json.dumps(about).encode()).hexdigest()[:12]
    return Packed({**about, "digest": digest}, _packed(_planes(graph)), _packed(_planes(encoder)))


def one_file(packed: Packed) -> str:
    """Return the page of one world as HTML that needs no other file."""
    return _page(packed.title, f"<script>worldlingParts = {_script({**_runtime(), **_world(packed)})}</script>")


def write_folder(worlds: dict[str, Packed], folder: Path, gallery: list[dict[str, Any]] | None = None) -> list[Path]:
    """Write pages that share one runtime into `folder`, named after the keys. Returns the files.

    gallery: the worlds as a start page shows them (player/start.js), which becomes index.html.
    """
    folder.mkdir(parents=True, exist_ok=True)
    home = {"home": "index.html"} if gallery else {}
    files = {"runtime.js": f"worldlingParts = {_script({**_runtime(), **home})}"}
    if gallery:
        shown = _script({"gallery": gallery, **home})
        files["index.html"] = _page("Worlds to play", f"<script>worldlingParts = {shown}</script>")
    for name, packed in worlds.items():
        files[f"{name}.js"] = f"Object.assign(worldlingParts, {_script(_world(packed))})"
        scripts = f'<script src="runtime.js"></script>\n<script src="{name}.js"></script>'
        files[f"{name}.html"] = _page(packed.title, scripts)
    for name, text in files.items():
        write_atomic(folder / name, text)
    return [folder / name for name in files]


def lesson_page(packed: Packed, title: str, lesson: dict[str, Any]) -> str:
    """Return a lesson as HTML that needs no other file; lesson: json that lesson.js reads."""
    parts = {**_runtime(), **_world(packed), "lesson": json.dumps(lesson)}
    return _page(title, f"<script>worldlingParts = {_script(parts)}</script>", "lesson")


def _page(title: str, scripts: str, kind: str = "player") -> str:
    """Return the HTML of the player or of a lesson, with all that it refers to inside.

    Its scripts come last, those of `scripts` before its own, and guard.js first, which says what is not there.
    """
    template = PAGE / "index.html" if kind == "player" else HERE / "page" / f"{kind}.html"
    html = template.read_text()
    html = re.sub(r'<link rel="stylesheet" href="([\w./]+)">', lambda found: _style(template.parent / found[1]), html)
    icon = base64.b64encode((PAGE / "icon.svg").read_bytes()).decode()
    html = html.replace("player/icon.svg", f"data:image/svg+xml;base64,{icon}")
    modules = {f"worldling/{name}": _address(text) for name, text in _modules(kind).items()}
    escaped = title.replace("&", "&amp;").replace("<", "&lt;")
    parts = {
        f'<script type="module" src="{kind}/{kind}.js"></script>': f"<script>\n{GUARD.read_text()}</script>",
        "<title>Worldling</title>": f"<title>{escaped} · Worldling</title>",
        "</body>": f"""<script type="importmap">{_script({"imports": modules})}</script>
{scripts}
<script type="module">import "worldling/{kind}.js";</script>
<script>worldlingEnd = true</script>
</body>""",
    }
    for there, instead in parts.items():
        if there not in html:
            raise ExportError(f"`{template}` must hold {there}, got none. Install Worldling again.")
        html = html.replace(there, instead)
    return html


def _style(path: Path) -> str:
    """Return a style sheet to stand in a page; its path is that of the served page, where player/ is PAGE."""
    file = PAGE / path.name if path.parent.name == "player" else path
    return f"<style>\n{file.read_text()}</style>"


def _modules(kind: str) -> dict[str, str]:
    """Return a page's modules by name, which import each other as "worldling/name.js"."""
    files = [HERE / "page" / name for name in LESSON]
    if kind == "player":
        files = [file for file in PAGE.glob("*.js") if file.name not in LEFT_OUT]
    files += [HERE / "page" / "engine.js", HERE / "runtime" / "gifenc.js"]
    return {file.name: re.sub(r'from "\./', 'from "worldling/', file.read_text()) for file in files}


def _worker() -> str:
    """Return the worker's modules as one: a worker made of a text cannot import others by name."""
    texts = [(HERE / "page" / name).read_text() for name in WORKER]
    joined = "\n".join(re.sub(r'^import .* from "\./.*";$', "", text, flags=re.M) for text in texts)
    return re.sub(r"^export ", "", joined, flags=re.M)


def _runtime() -> dict[str, str]:
    code, wasm = ((HERE / "runtime" / name).read_bytes() for name in RUNTIME)
    return {"worker": _worker(), "runtime": _packed(code), "wasm": _text(wasm)}


def _world(packed: Packed) -> dict[str, str]:
    return {"about": json.dumps(packed.about), "graph": packed.graph, "encoder": packed.encoder}


def _planes(data: bytes) -> bytes:
    """Return the even bytes, then the odd ones: of float16 numbers, which are more alike so. engine.js undoes it."""
    return data[0::2] + data[1::2]


def _packed(data: bytes) -> str:
    return _text(gzip.compress(data, mtime=0))


def _text(data: bytes) -> str:
    """Return bytes as text that may stand in a script: their number, a space, base 85 with a dot for "<"."""
    whole = data + bytes(-len(data) % 4)
    return f"{len(data)} {base64.b85encode(whole).decode().replace('<', '.')}"


def _address(module: str) -> str:
    return f"data:text/javascript;base64,{base64.b64encode(module.encode()).decode()}"


def _script(value: Any) -> str:
    """Return json that may stand in a script in HTML."""
    return json.dumps(value).replace("<", "\\u003c")
