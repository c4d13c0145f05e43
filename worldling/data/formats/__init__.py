"""Formats: data sets made elsewhere, brought into ours."""
