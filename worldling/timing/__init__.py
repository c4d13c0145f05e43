"""Measure what running a world takes: time per step, and energy where the hardware counts it."""
