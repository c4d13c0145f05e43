"""OpenVINO backends: they make the reference's frames, within their bounds, and are kept on disk."""

import copy
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from worldling.backends import cache, openvino, openvino_graph
from worldling.backends.choose import BOUND, use_backend
from worldling.backends.deviation import deviation
from worldling.dynamics.outcome import Outcome, OutcomeConfig
from worldling.errors import BackendError
from worldling.judge.baselines import random_weights_copy
from worldling.machine import cpu_has_bf16
from worldling.nn.lattice import snap
from worldling.world_files import load_world, save_world

pytestmark = pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino")
ACTIONS = np.random.default_rng(1).integers(0, 3, 12)
#: Calibrating int8 takes long.
INT8 = pytest.param("openvino-int8", marks=pytest.mark.slow)
NAMES = ["openvino-f32", "openvino-bf16", INT8]


def skip_without_nncf():
    if find_spec("nncf") is None:  # importorskip would import it, and with it its reports to its makers
        pytest.skip("needs nncf")


@pytest.fixture(scope="module", params=NAMES)
def fast(request, world):
    if request.param == "openvino-int8":
        skip_without_nncf()
    return use_backend(copy.copy(world), request.param, quiet=True)


def test_stays_within_its_bound(world, fast):
    found = deviation(world, {"fast": fast.backend}, steps=32, starts=2)["fast"]
    assert found.err < BOUND[fast.backend.name], found
    # fp32 tips no level here, nor does bf16 where OpenVINO computes in fp32 for want of it; others must differ
    plain = fast.backend.name == "openvino-f32" or (fast.backend.name == "openvino-bf16" and not cpu_has_bf16())
    assert (found.err > 0) == (not plain)


@pytest.mark.parametrize("name", NAMES)
def test_a_world_that_warps_stays_within_its_bound(warping, name):
    if name == "openvino-int8":
        skip_without_nncf()
    fast = use_backend(copy.copy(warping), name, quiet=True)
    found = deviation(warping, {"fast": fast.backend}, steps=32, starts=2)["fast"]
    assert found.err < BOUND[name], found


@pytest.mark.parametrize("name", NAMES)
def test_a_world_with_keypoints_stays_within_its_bound_and_moves_them_in_fp32(pointed, tiny_clip, name):
    if name == "openvino-int8":
        skip_without_nncf()
    fast = use_backend(copy.copy(pointed), name, quiet=True)
    found = deviation(pointed, {"fast": fast.backend}, steps=32, starts=2)["fast"]
    assert found.err < BOUND[name], found
    state, vectors = pointed.start(*tiny_clip), torch.eye(3)
    for ours, theirs in zip(fast.guess(state, vectors), pointed.guess(state, vectors), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 3, *range(20, 29)])  # of more numbers of rows than a graph is compiled for
def test_outcomes_are_the_references(world, scored, rows):
    fast, latent = scored, torch.rand(rows, 64, 8) * 2 - 1
    given = latent, latent.flip(0) ** 3, torch.eye(3)[torch.arange(rows) % 3]
    assert torch.allclose(fast.backend.outcome(*given), fast.outcome(*given), atol=1e-5)


@pytest.fixture(scope="module")
def scored(world):
    """A world that predicts rewards and the end, on OpenVINO."""
    torch.manual_seed(0)
    scored = copy.copy(world)
    scored.outcome = Outcome(OutcomeConfig((0.0, 1.0), True, True), 64, 8, 3).eval()
    return use_backend(scored, "openvino-f32", quiet=True)


def test_it_reads_what_it_is_shown_as_the_reference_does(world, tiny_clip):
    fast = use_backend(copy.copy(world), "openvino-f32", quiet=True)
    ours, theirs = (w.start(*tiny_clip) for w in (fast, world))
    for a, b in zip(ours.memory.tensors, theirs.memory.tensors, strict=False):
        assert torch.allclose(a, b, atol=1e-4)
    assert torch.equal(ours.memory.stamp, theirs.memory.stamp) and torch.allclose(
        ours.previous, theirs.previous, atol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("rows", [3, 18])  # whole, and in parts
def test_reading_remembers_what_making_the_frame_would(warping, rows):
    fast = use_backend(copy.copy(warping), "openvino-bf16", quiet=True)
    rng = np.random.default_rng(rows)
    state = fast.start(rng.integers(0, 256, (rows, 1, 64, 64, 3), dtype=np.uint8), [])
    inputs = fast.inputs(state, torch.zeros(rows, fast.action_space.size))
    read, made = fast.backend.remember(inputs), fast.backend.tick(inputs, decode=True).memory
    assert len(read) == len(made) == len(state.memory.tensors)
    assert all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(read, made, strict=False))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, alike", [("openvino-f32", "openvino-f32"), ("openvino-int8", "openvino-bf16"), ("reference", "reference")]
)
def test_other_weights_run_as_the_world_does(world, name, alike, tiny_clip):
    if name == "openvino-int8":
        skip_without_nncf()
    untrained = random_weights_copy(use_backend(copy.copy(world), name, quiet=True))
    assert untrained.backend.name == alike
    plain = random_weights_copy(world)
    ours, theirs = (w.encode(tiny_clip[0]) for w in (untrained, plain))
    assert torch.allclose(ours, theirs, atol=1e-6), "the same weights again"


def test_it_encodes_to_the_same_levels_however_many_frames_there_are(world, tmp_path, tiny_clip):
    saved = load_world(save_world(world, tmp_path / "w", half=False))
    fast = use_backend(copy.copy(saved), "openvino-bf16", quiet=True)
    found = fast.encode(tiny_clip[0])
    assert torch.allclose(found, saved.encode(tiny_clip[0]), atol=1e-6)
    assert torch.equal(found[1, 2], fast.encode(tiny_clip[0][1, 2]))
    assert openvino_graph.is_built(saved, "encoder") and openvino_graph.is_built(saved, "decoder"), (
        "kept for the next start"
    )


def test_it_paints_the_same_frames_however_many_there_are(world, tiny_clip):
    fast, latents = use_backend(copy.copy(world), "openvino-bf16", quiet=True), world.encode(tiny_clip[0])
    found, plain = fast.decode(latents), world.decode(latents)
    assert np.abs(found.astype(int) - plain).max() <= 1 and (found != plain).mean() < 1e-3
    assert np.array_equal(found[1, 2], fast.decode(latents[1, 2]))


def test_latents_lie_on_the_lattice(fast, tiny_clip):
    state = fast.start(tiny_clip[0][0], tiny_clip[1][0])
    latents = fast.rollout(state, ACTIONS, decode=False)
    assert (latents - snap(latents, fast.dynamics.config.levels)).abs().max() < 1e-6


def test_watching_changes_nothing(fast, tiny_clip):
    state = fast.start(tiny_clip[0][0], tiny_clip[1][0])
    blind = state.fork()
    fast.rollout(state, ACTIONS)
    fast.rollout(blind, ACTIONS, decode=False)
    assert torch.equal(state.latent, blind.latent)


def test_fork_and_replay_give_the_same_frames(fast, tiny_clip):
    state = fast.start(tiny_clip[0], tiny_clip[1])
    fork = state.fork()
    first = fast.rollout(state, ACTIONS)
    assert np.array_equal(fast.rollout(fork, ACTIONS), first)
    assert np.array_equal(fast.rollout(fast.start(tiny_clip[0], tiny_clip[1]), ACTIONS), first)


def test_two_states_in_turns_do_not_meet(fast, tiny_clip):
    frames, actions = tiny_clip
    alone = fast.rollout(fast.start(frames[0], actions[0]), ACTIONS)[0]
    a, b = fast.start(frames[0], actions[0]), fast.start(frames[1], actions[1])
    shown = []
    for action in ACTIONS:
        shown.append(fast.step(a, action).frame)
        fast.step(b, action)
    assert np.array_equal(np.stack(shown), alone)


def test_a_large_batch_runs_in_parts(fast, tiny_clip, monkeypatch):
    state = fast.start(tiny_clip[0], tiny_clip[1])
    fork = state.fork()
    monkeypatch.setattr(openvino, "MICRO_BATCH", 2)
    monkeypatch.setattr(openvino, "SPLIT_FROM", 9)
    whole = fast.step(state, [0, 1, 2]).frame
    monkeypatch.setattr(openvino, "SPLIT_FROM", 3)
    parts = fast.step(fork, [0, 1, 2]).frame
    assert np.abs(whole.astype(int) - parts).mean() < 1  # other graphs, other last bits


def test_a_state_from_another_backend_goes_on(world, fast, tiny_clip):
    state = world.start(tiny_clip[0][0], tiny_clip[1][0])
    assert state.memory.tensors[0].dtype == torch.float32
    expected = fast.step(fast.start(tiny_clip[0][0], tiny_clip[1][0]), 1).frame
    most = 2 if fast.backend.name == "openvino-int8" else 1  # grey levels; int8 kernels differ between processors
    assert np.abs(fast.step(state, 1).frame.astype(int) - expected).mean() < most


def saved(world, folder):
    plain = copy.copy(world)
    plain.contexts = []
    return save_world(plain, folder)


def test_the_second_start_reads_the_graph(world, tmp_path, own_cache):
    path = saved(world, tmp_path / "w")
    first = use_backend(load_world(path), "openvino-bf16", quiet=True)
    assert f"cached in {own_cache}" in first.backend.reason
    *eye, graph = sorted(own_cache.glob("*.xml"))
    assert [part.name.split("-")[0] for part in eye] == ["decoder", "encoder"]
    assert graph.name.startswith("openvino-bf16-") and not (path / ".engine").exists()
    again = use_backend(load_world(path), "openvino-bf16", quiet=True)
    assert "from the cache" in again.backend.reason


@pytest.mark.slow
def test_the_first_start_dreams_as_every_later_one_does(warping, tmp_path, tiny_clip, own_cache):
    path = saved(warping, tmp_path / "w")  # the file's numbers are halves: what is run must be what was kept
    first, again = (use_backend(load_world(path), "openvino-bf16", quiet=True) for _ in range(2))
    assert "built now" in first.backend.reason and "from the cache" in again.backend.reason
    ours, theirs = (
        [t.clone() for t in w.backend.tick(_inputs(w, tiny_clip), decode=True).flat()] for w in (first, again)
    )
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def _inputs(world, clip):
    state = world.start(*clip)
    return world.inputs(state, torch.zeros(len(state.latent), world.action_space.size))


@pytest.mark.slow
def test_ctrl_c_after_two_worlds_were_dropped(world, tmp_path, own_cache):
    path = saved(world, tmp_path / "w")
    script = f"""
import gc, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has it ignored
from worldling.backends.choose import use_backend
from worldling.world_files import load_world
older, younger = (use_backend(load_world({str(path)!r}), "openvino-bf16", quiet=True) for _ in range(2))
del older
gc.collect()
del younger
gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("stopped")
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "stopped\n"), ran.stderr  # -11: OpenVINO left a freed signal stack


def test_a_cache_that_cannot_be_written(world, tmp_path, own_cache):
    path = saved(world, tmp_path / "w")
    own_cache.write_text("in the way")
    made = use_backend(load_world(path), "openvino-bf16", quiet=True)
    assert f"not cached since {own_cache} cannot be used" in made.backend.reason


def test_every_source_of_a_graph_is_there():
    assert all(list(cache.PACKAGE.glob(pattern)) for pattern in cache.SOURCES)


def test_other_weights_or_other_code_need_another_graph(world, tmp_path, monkeypatch):
    before = cache.fingerprint(world)
    assert cache.fingerprint(copy.copy(world)) == before
    other = copy.copy(world)
    other.tokenizer = copy.deepcopy(world.tokenizer)
    with torch.no_grad():
        next(other.tokenizer.parameters()).add_(0.01)
    assert cache.fingerprint(other) != before
    copied = tmp_path / "package"
    for path in {p for pattern in cache.SOURCES for p in cache.PACKAGE.glob(pattern)}:
        (copied / path.relative_to(cache.PACKAGE)).parent.mkdir(parents=True, exist_ok=True)
        (copied / path.relative_to(cache.PACKAGE)).write_bytes(path.read_bytes())
    monkeypatch.setattr(cache, "PACKAGE", copied)
    assert cache.fingerprint(world) == before
    for pattern in ("tick.py", "backends/openvino_graph.py"):
        with (copied / pattern).open("a") as file:
            file.write("# changed")
        assert cache.fingerprint(world) != before
        before = cache.fingerprint(world)


def test_int8_needs_clips(world):
    skip_without_nncf()
    bare = copy.copy(world)
    bare.contexts = []
    with pytest.raises(BackendError, match="contexts"):
        use_backend(bare, "openvino-int8", quiet=True)
