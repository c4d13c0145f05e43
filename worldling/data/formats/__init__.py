"""Formats of data sets: `registry.py` lists them, every other file is one format."""
