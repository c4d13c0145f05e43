"""Find every import of one module of a package by another, in whatever spelling, and cycles among them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """module: the imported module's full name; line: where it is imported."""

    module: str
    line: int


def module_of(path: Path, root: Path) -> str:
    """Return the full name of the module in `path`; root: the folder of its package."""
    parts = (root.name, *path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def find_imports(source: str, module: str, known: Set[str], is_package: bool = False) -> Iterator[Import]:
    """Yield what the module's source imports of its own package, anywhere in it.

    Sees `import a.b`, `from a import b`, relative imports, imports inside functions and for type checkers only, and
    strings (also the beginnings of f-strings) that are the name of a module or of something in one, such as
    "a.b:callable".
    known: full names of all modules of the package; module: the full name of this one; is_package: whether it is the
    __init__.py of a folder.
    """
    top = module.partition(".")[0]
    package = module if is_package else module.rpartition(".")[0]
    spoken = re.compile(rf"{top}\.[\w.]*(:\w*)?")

    def found(name: str, line: int) -> Iterator[Import]:
        """Resolve `name` to the longest known module that it begins with."""
        parts = name.split(".")
        if parts[0] == top:
            fits = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
            yield Import(next(part for part in fits if part in known or "." not in part), line)

    def absolute(name: str, level: int) -> str:
        """Turn a relative name with `level` dots before it into a full one."""
        folder = package.split(".")[: len(package.split(".")) - level + 1]
        return ".".join([*folder, name] if name else folder)

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from found(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            of = absolute(node.module or "", node.level) if node.level else node.module or ""
            for alias in node.names:
                yield from found(f"{of}.{alias.name}", node.lineno)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            name = getattr(node.args[0], "value", None) if node.args else None
            if isinstance(name, str) and name.startswith("."):
                dots = len(name) - len(name.lstrip("."))
                yield from found(absolute(name[dots:], dots), node.lineno)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and spoken.fullmatch(node.value):
            yield from found(node.value.partition(":")[0].rstrip("."), node.lineno)


def find_cycle(graph: Mapping[str, Set[str]]) -> list[str]:
    """Return the modules of one cycle, the first one again at the end, or nothing if there is none."""
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node not in done:
            for there in sorted(graph.get(node, ())):
                if cycle := walk(there, [*path, node]):
                    return cycle
            done.add(node)
        return []

    return next((cycle for node in sorted(graph) if (cycle := walk(node, []))), [])
