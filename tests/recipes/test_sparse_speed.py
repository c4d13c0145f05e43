"""The table of sparse attention: what it counts is less where there is less, and no row is missing."""

import worldling.recipes.sparse_speed as module
from worldling.recipes.sparse_speed import attention_gflop, measure, table, untrained


def test_operations_are_those_of_the_attention():
    dense = attention_gflop(untrained(8, 1, ""))
    tokens, width, layers = 64, 128, 5
    products = 2 * tokens * (4 * width * width + 2 * tokens * width)  # queries, keys, values, out; scores and mixing
    assert dense == layers * products / 1e9
    assert attention_gflop(untrained(8, 1, "window:8")) == dense, "one window of all is dense"
    assert attention_gflop(untrained(8, 1, "window:4")) < dense


def test_each_pattern_is_a_row_beside_the_dense_one(monkeypatch):
    monkeypatch.setattr(module, "SIZE_PX", 64)
    rows = measure({4: 1, 8: 1}, ("", "window:2"), 0.05, "reference")
    assert [(row.tokens, row.pattern) for row in rows] == [(16, ""), (16, "window:2"), (64, ""), (64, "window:2")]
    assert all(row.p99_ms >= row.p50_ms > 0 for row in rows)
    assert len(table(rows).splitlines()) == 5 and "100%" in table(rows)
