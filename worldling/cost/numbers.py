"""How the numbers of ledgers and plans are written."""

from __future__ import annotations

import math


def number(value: float) -> str:
    """Write a number with three figures and no exponent; whole numbers and thousands in full."""
    if value == 0 or abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.{2 - math.floor(math.log10(abs(value)))}f}"


def share(value: float) -> str:
    """Write a share in percent."""
    return f"{value * 100:.3g} %"
