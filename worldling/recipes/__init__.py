"""Recipes: one function per run that the project ships, and the policies that record their data."""
