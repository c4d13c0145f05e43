"""Measures: how far frames and readings are from the truth, and how certain that is."""
