"""Entry point of `python -m worldling`."""

import sys

from worldling.cli import main

sys.exit(main())
