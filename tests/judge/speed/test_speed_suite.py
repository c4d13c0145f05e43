"""The speed suite times any world, and keeps what depends on the clock out of its values."""

import pytest
from judge_worlds import CopyWorld, PerfectWorld

from worldling.judge import judge
from worldling.timing import steps


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(steps, "SECONDS", 0.02)


def test_any_world_is_timed_alone_and_in_a_batch(squares):
    for world in (CopyWorld(squares), PerfectWorld(squares)):
        report = judge(world, squares.path, suites=("speed",), quiet=True)
        rows = report["timing"]["speed"]["rows"]
        assert [row["batch"] for row in rows] == list(steps.BATCHES)
        assert all(row["fps_p50"] > 0 and row["p99_ms"] >= row["p50_ms"] and row["num_steps"] >= 5 for row in rows)
        assert report["suites"]["speed"] == {"batches": list(steps.BATCHES)}, "values hold nothing of the clock"
