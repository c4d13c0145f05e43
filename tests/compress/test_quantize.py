"""Few bits for weights: more where roll-outs are sensitive, within the budget, made up for, and loaded as measured."""

import json
import re
from functools import partial

import numpy as np
import pytest
import torch

import worldling.compress.ladder
import worldling.compress.run
from worldling.cli.commands import main
from worldling.compress.allocate import allocate
from worldling.compress.compensate import compensated, input_products, layers_of
from worldling.compress.quantize import quantize_weights
from worldling.compress.run import compress
from worldling.compress.sensitivity import Probe, packable, replaced, sensitivities
from worldling.errors import ConfigError
from worldling.packed import BITS, packed_bits, rounded, scales
from worldling.world_files import load_world, save_world, weights_of


@pytest.fixture(scope="module")
def world(make_world):
    return make_world(clips=True)


@pytest.fixture(scope="module")
def folder(make_world, tmp_path_factory):
    made = make_world(clips=True)
    made.card["source"] |= {"fps": 10.0}
    return save_world(made, tmp_path_factory.mktemp("worlds") / "w", half=False)


@pytest.fixture
def few(monkeypatch):
    """Pack six weights, of two of which sensitivities are measured: quick. Returns the names of those measured."""
    import worldling.compress.quantize as module

    measured, some = [], lambda world: dict(list(packable(world).items())[:6])
    for where in (module, worldling.compress.run, worldling.compress.sensitivity):
        monkeypatch.setattr(where, "packable", some)
    for where in (worldling.compress.run, worldling.compress.ladder):
        monkeypatch.setattr(where, "Probe", partial(Probe, rows=2, steps=2))

    def shortened(world, probe, known, quiet):
        given = {name: {b: 1e-6 * 4.0**-b for b in BITS} for name in list(some(world))[2:] if name not in known}
        yield from given.items()
        for name, errors in sensitivities(world, probe, {*given, *known}, quiet):
            measured.append(name)
            yield name, errors

    monkeypatch.setattr(module, "sensitivities", shortened)
    return measured


def test_weights_are_put_back(world):
    before = {name: weight.clone() for name, weight in weights_of(world).items()}
    name = next(iter(packable(world)))
    with pytest.raises(KeyError), replaced(world, {name: torch.zeros_like(before[name])}):
        assert not weights_of(world)[name].any()
        raise KeyError
    assert all(torch.equal(weight, before[name]) for name, weight in weights_of(world).items())


def test_a_probe_finds_no_error_where_nothing_changed(world):
    probe = Probe(world, rows=2, steps=3)
    assert probe.error(world) == 0
    name = "dynamics.head.scores.weight"
    with replaced(world, {name: torch.zeros_like(weights_of(world)[name])}):
        assert probe.error(world) > 0
    assert probe.error(world) == 0


def test_fewer_bits_never_count_as_better(world):
    probe = Probe(world, rows=2, steps=2)
    found = dict(sensitivities(world, probe, list(packable(world))[3:]))
    assert list(found) == list(packable(world))[:3]
    for name in found:
        assert [found[name][b] for b in (8, 6, 4, 3, 2, 1)] == sorted(found[name].values())


def test_bits_go_where_errors_are():
    shapes = {"sure": (64, 64), "other": (64, 64)}
    errors = {"sure": {8: 0.0, 4: 0.0, 2: 0.001, 1: 0.01}, "other": {8: 0.0, 4: 1.0, 2: 5.0, 1: 9.0}}
    for mean in (8.5, 6.5, 5.5, 4.6, 3.0, 1.5):
        chosen = allocate(shapes, errors, mean)
        assert sum(packed_bits(shapes[name], b) for name, b in chosen.items()) <= mean * 2 * 64 * 64
        assert chosen["other"] >= chosen["sure"]
    assert allocate(shapes, errors, 6.5) == {"sure": 4, "other": 8}
    with pytest.raises(ConfigError, match=r"`bits` must be at least 1\.50"):
        allocate(shapes, errors, 1.2)
    with pytest.raises(ConfigError, match=r"at least 1\.\d\d for this world, got 1\.5") as told:
        allocate({**shapes, "odd": (16, 72)}, {**errors, "odd": errors["sure"]}, 1.5)
    least = float(re.search(r"at least ([\d.]+)", str(told.value))[1])
    allocate({**shapes, "odd": (16, 72)}, {**errors, "odd": errors["sure"]}, least)


@pytest.mark.parametrize("bits", [2, 4])
def test_what_rounding_changes_is_made_up_for(bits):
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(40, 40, generator=generator)
    inputs = torch.randn(400, 40, generator=generator) @ mix  # with much in common
    weight = torch.randn(16, 40, generator=generator)
    found, scale = compensated(weight, bits, inputs.t() @ inputs / len(inputs))
    assert torch.equal(rounded(found, bits, scale), found), "they lie on the levels of their scales"
    errors = [((other - weight) @ inputs.t()).square().mean() for other in (found, rounded(weight, bits))]
    assert errors[0] < 0.8 * errors[1]


def test_inputs_are_those_of_the_layers(world):
    probe = Probe(world, rows=2, steps=2)
    found = input_products(world, probe)
    for name, matrix in found.items():
        assert matrix.shape == (weights_of(world)[name][0].numel(),) * 2
        assert torch.allclose(matrix, matrix.t()) and (matrix.diag() >= 0).all()
    assert set(found) <= set(layers_of(world))
    assert "dynamics.head.scores.weight" in found and "tokenizer.encoder.0.weight" in found


def test_a_filter_sees_its_patches():
    from worldling.compress.compensate import _rows_of

    torch.manual_seed(0)
    layer, picture = torch.nn.Conv2d(3, 5, 3, stride=2, padding=1), torch.randn(2, 3, 8, 8)
    flat = _rows_of(layer, picture) @ layer.weight.flatten(1).t() + layer.bias
    assert torch.allclose(flat.view(2, 16, 5).transpose(1, 2), layer(picture).flatten(2), atol=1e-5)


def test_a_world_of_few_bits_is_saved_as_it_was_measured(world, few, tmp_path):
    probe = Probe(world, rows=2, steps=2)
    done = quantize_weights(world, 4.5, probe)
    assert len(few) == 2
    assert done.mean_bits <= 4.5 and probe.error(done.world) > 0 and probe.error(world) == 0
    assert done.world.card["compression"] == {"bits": round(done.mean_bits, 3), "of": "tiny"}
    assert "compression" not in world.card
    own, theirs = weights_of(world), weights_of(done.world)
    for name, b in done.packing.bits.items():
        assert torch.equal(rounded(theirs[name], b, done.packing.scales[name]), theirs[name])
        assert not torch.equal(own[name], theirs[name])
    done.world.card["source"] |= {"fps": 10.0}
    save_world(done.world, tmp_path / "w", packing=done.packing)
    loaded = load_world(tmp_path / "w")
    frames = world.contexts[0].frames
    assert np.array_equal(done.world.encode(frames), loaded.encode(frames)), "it does not run on the original's weights"
    again = weights_of(loaded)
    assert all(torch.equal(again[name], theirs[name]) for name in done.packing.bits)


def test_scales_are_least_squares(world):
    weight = weights_of(world)["dynamics.head.scores.weight"]
    best = scales(weight, 3)
    for factor in (0.8, 1.2):
        assert (rounded(weight, 3, best) - weight).norm() <= (rounded(weight, 3, factor * best) - weight).norm()


def test_the_same_command_goes_on_and_another_width_is_quick(folder, few, tmp_path, capsys):
    out = tmp_path / "small"
    command = ["compress", str(folder), "--bits", "4.5", "--out", str(out), "--json"]
    assert main(command) == 0
    first, size = json.loads(capsys.readouterr().out)["compressed"], (out / "weights.safetensors").stat().st_size
    assert len(few) == 2
    assert first["megabytes"] == pytest.approx(size / 1e6) and first["megabytes"] < first["megabytes_before"] / 2
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["compressed"] == first
    assert compress(folder, out, 2.5).megabytes < first["megabytes"]
    assert len(few) == 2, "nothing is measured again"
    assert load_world(out).card["compression"]["bits"] <= 2.5
    assert np.isfinite(first["psnr_db"])


@pytest.mark.slow
def test_measures_of_another_world_do_not_count(folder, few, tmp_path):
    out = tmp_path / "small"
    compress(folder, out, 4.5)
    file = out / "compress" / "sensitivity.json"
    for text in (file.read_text().replace('"world": "', '"world": "0'), "{", '{"world": 1, "errors": {}}'):
        few.clear()
        file.write_text(text)
        compress(folder, out, 4.5)
        assert len(few) == 2


@pytest.mark.parametrize("options, said", [
    (["--bits", "0"], "`bits` must be from 1.5 to 8.5 with the scales, got 0"),
    (["--bits", "9"], "`bits` must be from 1.5 to 8.5 with the scales, got 9"),
    (["--bits", "nan"], "`bits` must be from 1.5 to 8.5"),
])  # fmt: skip
def test_bits_out_of_range_are_refused(folder, tmp_path, capsys, options, said):
    assert main(["compress", str(folder), "--out", str(tmp_path / "w"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


def test_worlds_are_not_written_over(folder, few, tmp_path, capsys):
    assert main(["compress", str(folder), "--bits", "4.5", "--out", str(folder)]) == 2
    assert "`out` must be another folder than the world's own" in capsys.readouterr().err
    other = save_world(load_world(folder), tmp_path / "other")
    assert main(["compress", str(folder), "--bits", "4.5", "--out", str(other)]) == 2
    assert "`out` must be a new folder" in capsys.readouterr().err
    compress(folder, tmp_path / "small", 4.5)
    assert main(["compress", str(tmp_path / "small"), "--bits", "3", "--out", str(tmp_path / "again")]) == 2
    assert "`world` must not be quantized yet" in capsys.readouterr().err
    assert main(["compress", "nowhere", "--bits", "3", "--out", str(tmp_path / "again")]) == 2
    assert not (tmp_path / "again").exists()


def test_a_world_without_clips_says_so(make_world):
    with pytest.raises(ConfigError, match=r"`world.contexts` must hold a clip"):
        Probe(make_world())
