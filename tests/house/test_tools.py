"""One set of checks: what a contributor runs, what CI runs and what the hooks run are the same."""

import re
import tomllib
from pathlib import Path

import pytest

import worldling

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROSE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_ci_runs_what_contributors_run():
    assert re.search(r"^scripts/check$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    check = (ROOT / "scripts/check").read_text()
    for command in ("ruff check .", "ruff format --check .", "mypy", "python -m pytest"):
        assert re.search(rf"^{re.escape(command)}(\s|$)", check, re.MULTILINE), command


def test_the_tools_are_in_the_extra_that_ci_installs():
    assert 'pip install --quiet -e ".[dev]"' in (ROOT / ".ci/run").read_text()
    extras = SETTINGS["project"]["optional-dependencies"]
    names = {re.match(r"[\w-]+", need)[0] for need in extras["dev"] + extras["test"]}
    assert {"ruff", "mypy", "pytest", "pytest-xdist", "beartype"} <= names


def test_hooks_download_nothing():
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (\S+)", text) == ["local"] and set(re.findall(r"language: (\S+)", text)) == {"system"}


def test_the_version_is_said_once():
    assert SETTINGS["project"]["version"] == worldling.__version__
    assert worldling.__version__ in (ROOT / "CHANGELOG.md").read_text()


def test_warnings_are_errors_and_exceptions_explained():
    first, *others = SETTINGS["tool"]["pytest"]["ini_options"]["filterwarnings"]
    assert first == "error" and all(other.startswith("ignore:") for other in others)
    lines = [line for line in (ROOT / "pyproject.toml").read_text().splitlines() if '"ignore:' in line]
    assert len(lines) == len(others) and all("#" in line for line in lines)


@pytest.mark.parametrize("path", PROSE, ids=lambda p: p.name)
def test_prose_is_wrapped(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    for line in text.splitlines():
        assert len(line) <= 120 or line.startswith(("|", "#", "<")), "only table rows, headings and pictures are longer"
