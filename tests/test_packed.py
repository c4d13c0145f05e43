"""Weights in few bits: what is packed comes back, fewer bits are smaller and less exact, and a file must be whole."""

import json
import struct

import numpy as np
import pytest
import torch

from worldling.checkpoint import read_tensors, write_tensors
from worldling.errors import CheckpointError, ConfigError
from worldling.packed import BITS, GROUP, Packing, can_pack, pack, packed_bits, rounded, scales, unpack
from worldling.world_files import load_world, save_world, weights_of

SHAPES = [(5, 32), (7, 33), (3, 200), (8, 16, 3, 3)]


def matrix(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_packed_comes_back(shape, bits):
    weight = matrix(shape)
    held = pack("w", weight, bits)
    assert torch.equal(unpack(held, "w", shape, bits), rounded(weight, bits))
    assert sum(t.numel() * t.element_size() for t in held.values()) * 8 == packed_bits(shape, bits)


@pytest.mark.parametrize("bits", BITS)
def test_rounding_again_with_the_same_scale_changes_nothing(bits):
    weight = matrix((6, 70))
    scale = scales(weight, bits)
    once = rounded(weight, bits, scale)
    assert torch.equal(rounded(once, bits, scale), once)
    assert len(once[0, :GROUP].unique()) <= 2**bits


def test_more_bits_are_more_exact():
    weight = matrix((64, 256))
    errors = [((rounded(weight, bits) - weight).square().mean() / weight.square().mean()).item() for bits in BITS]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < 0.4 and errors[BITS.index(4)] < 0.01 and errors[-1] < 1e-4  # of normal weights


def test_a_group_has_a_scale_of_its_own():
    weight = matrix((2, 2 * GROUP))
    weight[:, GROUP:] *= 1e-3
    error = (rounded(weight, 4) - weight)[:, GROUP:]
    assert error.abs().max() < 1e-3


def test_a_group_of_zeros_stays_zero():
    assert torch.equal(rounded(torch.zeros(3, 40), 4), torch.zeros(3, 40))
    assert torch.equal(rounded(torch.zeros(3, 40), 1), torch.zeros(3, 40))


def test_other_bits_are_refused():
    with pytest.raises(ConfigError, match="`bits` must be one of 1, 2, 3, 4, 6, 8, got 5"):
        scales(matrix((2, 32)), 5)


@pytest.fixture
def packed_world(make_world, tmp_path):
    world = make_world()
    bits = {name: 4 for name, weight in weights_of(world).items() if can_pack(weight.shape)}
    save_world(world, tmp_path / "w", packing=Packing(bits))
    return world, tmp_path / "w", bits


def test_a_world_is_loaded_as_it_was_rounded(packed_world, tmp_path):
    world, path, bits = packed_world
    again = weights_of(load_world(path))
    for name, weight in weights_of(world).items():
        wanted = rounded(weight, bits[name]) if name in bits else weight.half().float()
        assert torch.equal(again[name], wanted), name
    save_world(world, tmp_path / "whole", half=False)
    sizes = [(tmp_path / folder / "weights.safetensors").stat().st_size for folder in ("whole", "w")]
    assert sizes[1] < sizes[0] / 3


def test_given_scales_are_kept(make_world, tmp_path):
    world = make_world()
    name, weight = next((name, w) for name, w in weights_of(world).items() if can_pack(w.shape))
    scale = 1.5 * scales(weight, 3)
    scale = scale.half().float()
    save_world(world, tmp_path / "w", packing=Packing({name: 3}, {name: scale}))
    assert torch.equal(weights_of(load_world(tmp_path / "w"))[name], rounded(weight, 3, scale))


def edited(path, change):
    """Let `change` edit header and metadata of a world's weights."""
    file = path / "weights.safetensors"
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    meta = json.loads(header["__metadata__"]["worldling"])
    change(header, meta)
    header["__metadata__"]["worldling"] = json.dumps(meta)
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


@pytest.mark.parametrize("wrong", [5, 0, -4, "4", None, True, 10**9, [4]])
def test_bits_that_cannot_be_are_refused(packed_world, wrong):
    _, path, bits = packed_world
    edited(path, lambda header, meta: meta["bits"].update({next(iter(bits)): wrong}))
    with pytest.raises(CheckpointError):
        load_world(path)


@pytest.mark.parametrize("change", [
    lambda header, meta: meta["bits"].update(other=4),
    lambda header, meta: meta.update(bits=[1, 2]),
    lambda header, meta: meta["bits"].clear(),
    lambda header, meta: meta["bits"].update({next(iter(meta["bits"])): 8}),
    lambda header, meta: header.update({"x#codes": dict(next(v for k, v in header.items() if k.endswith("#codes")))}),
])  # fmt: skip
def test_other_tensors_than_said_are_refused(packed_world, change):
    _, path, _ = packed_world
    edited(path, change)
    with pytest.raises(CheckpointError):
        load_world(path)


def test_scales_that_are_no_numbers_are_refused(packed_world):
    _, path, bits = packed_world
    tensors, meta = read_tensors(path / "weights.safetensors")
    tensors[f"{next(iter(bits))}#scales"][0, 0] = np.nan
    write_tensors(path / "weights.safetensors", tensors, meta)
    with pytest.raises(CheckpointError, match="finite"):
        load_world(path)
