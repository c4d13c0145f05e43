"""Nothing that is read from a file can run: the package unpickles, evaluates and executes nothing."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "worldling"
FILES = sorted(ROOT.rglob("*.py"))
#: Modules that turn data into objects by running code, and calls that do.
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml", "xml.etree.ElementTree"}
CALLS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {("torch", "load"), ("numpy", "load"), ("np", "load"), ("os", "system"), ("jit", "load")}


def faults(tree):
    """Yield the line and what is wrong in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, a.name) for a in node.names if a.name in MODULES)
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            yield node.lineno, node.module
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id in CALLS:
            yield node.lineno, function.id
        if isinstance(function, ast.Attribute):
            owner = getattr(function.value, "id", getattr(function.value, "attr", ""))
            given = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
            safe = given.get("weights_only") is True or (
                owner != "torch" and not given.get("allow_pickle", owner == "jit")
            )
            if (owner, function.attr) in ATTRIBUTES and (not safe or function.attr == "system"):
                yield node.lineno, f"{owner}.{function.attr}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_read_is_run(path):
    assert list(faults(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "code, found",
    [
        ("import pickle", "pickle"),
        ("torch.load(file)", "torch.load"),
        ("torch.load(file, weights_only=False)", "torch.load"),
        ("np.load(file, allow_pickle=True)", "np.load"),
        ("eval(text)", "eval"),
        ("torch.jit.load(file)", "jit.load"),
    ],
)
def test_the_test_sees_what_it_looks_for(code, found):
    assert list(faults(ast.parse(code))) == [(1, found)]
    assert not list(faults(ast.parse("np.load(file, allow_pickle=False); torch.load(f, weights_only=True); x.eval()")))
