"""The benchmark measures every case against the reference and names the machine."""

import json
from importlib.util import find_spec

import numpy as np
import pytest

from worldling.backend import Reference
from worldling.backends.bench import Case, bench, table
from worldling.backends.choose import BOUND, choose
from worldling.backends.deviation import Deviation, deviation
from worldling.errors import BackendError
from worldling.frame_error import PSNR_LIMIT_DB

ROW = {
    "backend",
    "kind",
    "size_px",
    "batch",
    "fps_p50",
    "p50_ms",
    "p99_ms",
    "num_steps",
    "memory_mb",
    "start_s",
    "err",
    "err_free",
    "bound",
    "ratio_to_reference",
}


def test_shape_of_the_result(world):
    if find_spec("openvino") is None:
        pytest.skip("needs openvino")
    result = bench(world, ["openvino-f32"], batches=(1, 2), seconds=0.05, steps=4, starts=1)
    assert json.loads(json.dumps(result)) == result
    assert set(result) == {"machine", "versions", "commit", "world", "rows"}
    assert all(set(row) == ROW for row in result["rows"])
    cases = [(row["backend"], row["kind"], row["batch"]) for row in result["rows"]]
    wanted = [("frames", 1), ("frames", 2), ("latents", 2)]
    assert cases == [(name, *kind) for name in ("reference", "openvino-f32") for kind in wanted]
    for row in result["rows"]:
        assert row["fps_p50"] > 0 and row["p99_ms"] >= row["p50_ms"] and row["err"] <= row["bound"]
        assert row["backend"] != "reference" or row["ratio_to_reference"] == 1
    assert len(table(result).splitlines()) == 7


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["auto", "auto+delta=0.5"])
def test_auto_is_measured_under_its_own_name(world, asked):
    chosen = choose(world)[0]
    if "delta" in asked and chosen == "torch":
        pytest.skip("needs openvino")
    result = bench(world, [asked], batches=(1,), seconds=0.05, latents=False, steps=2, starts=1)
    assert {row["backend"] for row in result["rows"]} == {"reference", asked.replace("auto", chosen)}
    assert result["rows"][-1]["bound"] == BOUND[chosen]


@pytest.mark.parametrize("wrong", [{"batches": (0,)}, {"batches": ()}, {"steps": 0}, {"seconds": 0}, {"hold": 0}])
def test_nothing_to_measure_is_told(world, wrong):
    with pytest.raises(BackendError, match="must be above 0"):
        bench(world, ["reference"], **wrong)


def test_an_action_is_kept_for_as_long_as_asked(world):
    case = Case(world, world.start(world.contexts[0].frames, world.contexts[0].actions), np.arange(64), False, 0.0, 3)
    given, world.step = [], lambda state, action, decode: given.append(int(action))
    try:
        for index in range(8):
            case.step(index)
    finally:
        del world.step
    assert given == [0, 0, 0, 1, 1, 1, 2, 2]


def test_deviation_sees_a_wrong_backend(world):
    class Wrong(Reference):
        def tick(self, inputs, decode):
            made = super().tick(inputs, decode)
            return made._replace(frame=255 - made.frame)

    same, wrong = Reference(world), Wrong(world)
    found = deviation(world, {"same": same, "wrong": wrong}, steps=3, starts=2)
    assert found["same"] == Deviation(err=0.0, err_free=PSNR_LIMIT_DB)
    assert found["wrong"].err > BOUND["openvino-int8"] and found["wrong"].err_free < 40
