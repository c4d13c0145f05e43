"""Muon: which weights it takes, and what its update is."""

import pytest
import torch

from worldling.learn.optimizer import Muon, optimizer_for, orthogonal


def test_orthogonal_is_close_to_the_polar_factor():
    x = torch.randn(3, 20, 48)
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    for got, polar in zip(orthogonal(x), u @ v, strict=False):
        assert torch.nn.functional.cosine_similarity(got.flatten(), polar.flatten(), 0) > 0.97


@pytest.mark.parametrize("has_bf16", [True, False])
def test_bf16_is_used_only_where_the_hardware_has_it(has_bf16, monkeypatch):
    monkeypatch.setattr("worldling.learn.precision.cpu_has_bf16", lambda: has_bf16)
    found = orthogonal(torch.randn(2, 40, 48, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(found, found.bfloat16().float()) == has_bf16


def test_matrices_go_to_muon_and_tables_do_not(tiny_world):
    optimizer = optimizer_for(tiny_world.dynamics, 1e-3)
    assert isinstance(optimizer, Muon)
    muon, adam = (set(map(id, g["params"])) for g in optimizer.param_groups)
    layer = tiny_world.dynamics.backbone.layers[0]
    assert id(layer.mlp.rise.weight) in muon and id(layer.attention.position) in adam
    assert len(muon) + len(adam) == len(list(tiny_world.dynamics.parameters()))
