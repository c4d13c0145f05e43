"""An exported world gives the reference's frames (the law), whatever its head is like, by onnxruntime alone."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from worldling.cli import main
from worldling.errors import ExportError
from worldling.export import check, write
from worldling.export.check import Agreement, compare
from worldling.export.graph import about, build_graph, input_names
from worldling.export.play_onnx import Noise, World
from worldling.export.weights import narrowed
from worldling.export.write import export_onnx
from worldling.packed import scales
from worldling.world_files import load_world, networks_of, save_world, weights_of

KINDS = {"plain": {}, "warp": {"warp": 2}, "keypoints": {"keypoints": 5}, "sparse": {"sparse": "window:4+global:3"}}


#: One kind is quick to test; the others run with the slow tests.
PARAMS = [pytest.param(kind, marks=() if kind == "keypoints" else pytest.mark.slow) for kind in KINDS]


@pytest.fixture(scope="module", params=PARAMS)
def exported(request, make_world, tmp_path_factory):
    world = make_world(clips=True, **KINDS[request.param])
    file = tmp_path_factory.mktemp("export") / f"{request.param}.onnx"
    export_onnx(world, file, bits=32)
    return world, file


def test_export_equals_reference(exported):
    world, file = exported
    found = compare(world, file)
    assert found.frames == check.STEPS * check.STARTS
    assert found.is_close, found
    assert found.equal > 0.95


def test_the_frames_move(exported):
    """Else equal frames would say nothing."""
    world, file = exported
    played = World(str(file))
    first = played.start(0)
    frames = [played.step(world.action_space.encode(t % 3)) for t in range(20)]
    assert len({frame.tobytes() for frame in [first, *frames]}) > 10


def test_a_graph_tells_all_that_a_player_needs(exported):
    world, file = exported
    played = World(str(file))
    assert played.about == json.loads(json.dumps(about(world)))
    assert list(played.shapes) == input_names(world)
    assert played.about["num_starts"] == len(world.contexts) == len(played.about["starts"])


def test_actions_decide(exported):
    world, file = exported
    ends = []
    for action in (1, 2):
        played = World(str(file))
        played.start(1)
        ends.append([played.step(world.action_space.encode(action)) for _ in range(6)][-1])
    assert not np.array_equal(*ends)


def test_several_passes_draw_the_same_noise_from_the_same_seed(make_world, tmp_path):
    world = make_world(passes=2, clips=True)
    file = tmp_path / "w.onnx"
    file.write_bytes(build_graph(world, bits=32).SerializeToString())
    frames = []
    for seed in (3, 3, 4):
        played = World(str(file))
        played.start(0, seed)
        frames.append([played.step(world.action_space.encode(1)) for _ in range(4)][-1])
    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2])


def test_noise_is_standard_normal():
    drawn = np.concatenate([Noise(5).draw(index, (64, 32)) for index in range(40)])
    assert abs(drawn.mean()) < 0.01 and abs(drawn.std() - 1) < 0.01
    assert abs(np.corrcoef(drawn[:64].ravel(), drawn[64:128].ravel())[0, 1]) < 0.05
    assert len(np.unique(drawn)) > 0.99 * drawn.size


def halved(world):
    """The world with weights as a file of a trained one holds them: float16."""
    for weight in weights_of(world).values():
        if weight.is_floating_point():
            weight.copy_(weight.half())
    return world


def size(graph):
    return sum(len(weight.raw_data) for weight in graph.graph.initializer)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_few_bits_are_smaller_and_the_same(kind, make_world, tmp_path):
    """Codes are found whatever the graph calls its weights, and become the rounded weights, bit for bit."""
    world, packing = narrowed(halved(make_world(clips=True, **KINDS[kind])), 8)
    graphs = [build_graph(world, 32), build_graph(world, 16), build_graph(world, 8, packing)]
    full, half, eight = (size(graph) for graph in graphs)
    assert half < 0.55 * full and eight < 0.9 * half
    frames = []
    for graph in (graphs[0], graphs[2]):
        (tmp_path / "w.onnx").write_bytes(graph.SerializeToString())
        played = World(str(tmp_path / "w.onnx"))
        played.start(0)
        frames.append(np.stack([played.step(world.action_space.encode(t % 3)) for t in range(20)]))
    assert np.array_equal(*frames)


@pytest.mark.slow
def test_what_rounding_changes_is_told(make_world, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "LEAST_DB", 0.0)  # random weights part from each other by a level sooner or later
    world = halved(make_world(clips=True))
    found = export_onnx(world, tmp_path / "w.onnx", 8).agreement["tiny"]
    assert found.original_db is not None and 10 < found.original_db < 90
    assert export_onnx(world, tmp_path / "w.onnx").agreement["tiny"].original_db is None


def test_a_compressed_world_keeps_its_bits(make_world, tmp_path):
    world, packing = narrowed(halved(make_world(clips=True)), 8)
    packing.bits.update({name: 4 for name in packing.bits if "mlp" in name})
    packing.scales.update(
        {name: scales(weights_of(world)[name], 4) for name, bits in packing.bits.items() if bits == 4}
    )
    save_world(world, tmp_path / "small", packing=packing)
    again = load_world(tmp_path / "small")
    kept, found = narrowed(again, 16)
    assert kept is again and found.bits == packing.bits
    assert export_onnx(again, tmp_path / "w.onnx").agreement["tiny"].is_close
    first = next(iter(found.bits))
    with torch.no_grad():
        weights_of(again)[first].add_(1.0)
    assert first not in narrowed(again, 16)[1].bits, "a weight that has changed since is not what the file says"


def test_narrowing_leaves_the_world_as_it_was(make_world):
    world = make_world(clips=True, keypoints=5)
    before = {name: weight.clone() for name, weight in weights_of(world).items()}
    found, packing = narrowed(world, 8)
    assert packing.bits and all(torch.equal(before[name], weight) for name, weight in weights_of(world).items())
    assert all(not torch.equal(before[name], weights_of(found)[name]) for name in packing.bits)
    shared = {id(part) for part in networks_of(world).values()} & {id(part) for part in networks_of(found).values()}
    assert not shared


def test_bits_that_cannot_be_exported_are_refused(make_world, tmp_path):
    with pytest.raises(ExportError, match=r"must be one of 32, 16, 8, got 5\. For fewer"):
        export_onnx(make_world(clips=True), tmp_path / "w.onnx", 5)


def test_a_world_that_is_not_near_enough_is_not_written(make_world, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "compare", lambda *_: Agreement(192, 0.5, 31.0))
    with pytest.raises(ExportError, match=r"31 dB, and 50% of 192.*--bits 32"):
        export_onnx(make_world(clips=True), tmp_path / "w.onnx")
    assert not list(tmp_path.iterdir())


def test_a_world_without_starts_says_so(make_world):
    with pytest.raises(ExportError, match="clip to start from"):
        build_graph(make_world())


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["pusht"], "--html w.html"),
        (["pusht", "--onnx", "no/such/folder/w.onnx"], "a file in a folder that exists"),
        (["pusth", "--html", "w.html"], "Did you mean"),
    ],
)
def test_bad_input_is_one_line(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
