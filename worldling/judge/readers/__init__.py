"""Readers: what is in a frame, read from its pixels."""
