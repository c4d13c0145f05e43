"""sparse(full) = dense; windows apart are the masked whole; what lies outside a window acts by summaries only."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from worldling.dynamics.memory import clip_age
from worldling.dynamics.model import Dynamics, DynamicsConfig
from worldling.errors import ConfigError
from worldling.nn.attention import SpaceAttention, linear_attention
from worldling.nn.sparse import SparsePattern, from_windows, parse_pattern, same_window, to_windows
from worldling.world_files import load_world, save_world

GRID, WIDTH, HEADS = 8, 32, 2


def attention(pattern, seed=0):
    torch.manual_seed(seed)
    layer = SpaceAttention(WIDTH, HEADS, GRID, pattern)
    torch.nn.init.normal_(layer.out.weight, std=0.2)
    if pattern is not None and pattern.num_global:
        torch.nn.init.normal_(layer.global_bias)
    return layer.eval()


def cells(batch=3, seed=1):
    return torch.randn(batch, GRID**2, WIDTH, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def test_a_window_as_wide_as_the_grid_is_dense_attention():
    dense, sparse = attention(None), attention(SparsePattern(GRID))
    sparse.load_state_dict(dense.state_dict())
    assert torch.allclose(sparse(cells()), dense(cells()), atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("pattern", [SparsePattern(4), SparsePattern(2, 3), SparsePattern(4, 8), SparsePattern(1, 1)])
def test_windows_apart_are_the_masked_whole(pattern):
    layer, x = attention(pattern), cells()
    every = torch.stack([torch.randperm(GRID**2, generator=torch.Generator().manual_seed(i)) for i in range(3)])
    shuffled = torch.stack([row[order] for row, order in zip(x, every, strict=True)])
    back = torch.stack([row[order.argsort()] for row, order in zip(layer(shuffled, every), every, strict=True)])
    assert torch.allclose(layer(x), back, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("num_global", [0, 4])
def test_a_cell_acts_in_its_window_and_beyond_by_summaries_only(num_global):
    layer, x = attention(SparsePattern(4, num_global)), cells(1)
    other = x.clone()
    other[:, 9] += 1  # row 1, column 1
    changed = (layer(other) - layer(x)).abs().amax(-1)[0].view(GRID, GRID) > 1e-6
    assert changed[:4, :4].all()
    assert changed[4:].any() == changed[:4, 4:].any() == bool(num_global)


@pytest.mark.parametrize("window", [1, 2, 4, 8])
def test_windows_are_folded_and_unfolded(window):
    x = torch.arange(2 * GRID**2).view(2, GRID**2, 1)
    folded = to_windows(x, GRID, window)
    assert torch.equal(from_windows(folded, GRID, window), x)
    number = folded[..., 0] % GRID**2
    assert same_window(number, GRID, window).all(), "each holds the cells of one window"


@torch.inference_mode()
def test_linear_attention_is_the_sum_over_pairs():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 2, 5, 8).unbind()
    asked, keys = (torch.nn.functional.elu(x) + 1 for x in (q, k))
    weight = (asked[:, :, :, None] * keys[:, :, None]).sum(-1)
    wanted = (weight / weight.sum(-1, keepdim=True)) @ v
    assert torch.allclose(linear_attention(q, k, v), wanted, atol=1e-5)
    layer, x = attention(parse_pattern("linear", GRID)), cells()
    order = torch.randperm(GRID**2)
    assert torch.allclose(layer(x[:, order], order[None]), layer(x)[:, order], atol=1e-5), "cells come in any order"


def test_patterns_are_read():
    assert parse_pattern("linear", 8) == SparsePattern(0)
    assert parse_pattern("linear+full:2", 8).is_full(1) and not parse_pattern("linear+full:2", 8).is_full(0)
    assert parse_pattern("", 8) is None
    assert parse_pattern("window:4", 8) == SparsePattern(4)
    assert parse_pattern("window:4+global:8", 16) == SparsePattern(4, 8)
    pattern = parse_pattern("window:2+global:1+full:3", 8)
    assert [pattern.is_full(number) for number in range(6)] == [False, False, True] * 2


@pytest.mark.parametrize(
    "text",
    ["window", "window:3", "window:0", "window:16", "global:8", "window:4+globl:8", "window:4,global:8", "window:4+",
     "window:4+window:2", "window:-4", "4", "window:4+global:65", "global:2+window:4 ", "linear+global:2", "lineal"],
)  # fmt: skip
def test_other_patterns_are_refused(text):
    with pytest.raises(ConfigError, match="`sparse` must"):
        DynamicsConfig(grid=8, sparse=text)


def test_operations_fall_with_the_windows():
    """At 1 024 tokens, of the attention itself: without the linear layers around it."""

    def flops(pattern):
        layer, counter = SpaceAttention(64, 2, 32, pattern), FlopCounterMode(display=False)
        with torch.no_grad(), counter:
            layer(torch.zeros(1, 1024, 64))
        return counter.get_total_flops() - 2 * 1024 * 4 * 64**2

    assert flops(SparsePattern(8, 8)) < 0.4 * flops(None)
    assert flops(SparsePattern(0)) < 0.1 * flops(None)
    assert flops(SparsePattern(32)) == flops(None) == 4 * 1024**2 * 64


def test_layers_are_sparse_as_said():
    config = DynamicsConfig(grid=4, channels=4, width=32, head_dim=16, backbone="SSTS", sparse="window:2+full:2")
    dynamics = Dynamics(config)
    layers = [layer for layer in (*dynamics.backbone.layers, *dynamics.head.layers) if hasattr(layer, "near")]
    assert [layer.attention.pattern is None for layer in layers] == [False, True, False, True]


@torch.inference_mode()
@pytest.mark.parametrize("pattern", ["window:2+global:3", "linear"])
def test_a_sparse_backbone_streams_what_it_computes_as_a_whole(make_world, tiny_clip, tmp_path, pattern):
    world = make_world(sparse=pattern)
    frames, actions = tiny_clip
    latent = world.encode(frames)
    previous = torch.cat([latent[:, :1], latent[:, :-1]], 1)
    action = torch.from_numpy(world.action_space.encode(actions))
    age = clip_age(torch.arange(4).expand(3, -1), world.dynamics.config)
    whole = world.dynamics.backbone(latent[:, :-1], previous[:, :-1], action, age)
    state = world.start(frames[:, :4], actions[:, :3])
    h, _ = world.backend.ticks[False].run_backbone(world.inputs(state, action[:, 3]))
    assert torch.allclose(h, whole[:, 3], atol=1e-4)
    world.card["source"] |= {"fps": 10.0}
    again = load_world(save_world(world, tmp_path / "w", half=False))
    assert again.config.dynamics.sparse == pattern
    made = [w.rollout(w.start(frames, actions), [1, 2, 0]) for w in (world, again)]
    assert (made[0] == made[1]).all()
