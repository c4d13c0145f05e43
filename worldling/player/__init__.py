"""The page in which a world is played, as files: served (serve/) or written into an exported page (export/)."""

from pathlib import Path

#: Its folder: index.html, modules that import each other by "./name.js", style sheets.
PAGE = Path(__file__).parent
