"""Let the tests of this room, and the worker processes they start, import toy_environments."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
