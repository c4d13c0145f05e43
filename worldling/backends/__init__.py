"""Inference backends, each of which runs a world's networks; how one is chosen; the graph cache; the benchmark."""
