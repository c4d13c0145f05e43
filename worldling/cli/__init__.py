"""The command line: `build_parser` and `main`."""

from worldling.cli.commands import build_parser, main

__all__ = ["build_parser", "main"]
