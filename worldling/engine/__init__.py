"""Batched inference of many sessions of one world."""
