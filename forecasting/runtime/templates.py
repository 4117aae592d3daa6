"""HTML from templates that escape every value, and the format of numbers and times on pages."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["environment", "number", "percent", "stamp"]


def environment(package: str) -> Environment:
    """The templates in `templates/` of a package: a value is text, never markup; an unknown name is an error."""
    made = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "stamp": stamp, "percent": percent}
    return made


def number(value: float | None) -> str:
    """Four digits, or whole numbers from 10,000 on; an en dash for a missing value."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def percent(share: float | None) -> str:
    """A share in percent with one digit, none if it is zero; an en dash for a missing value."""
    if share is None or math.isnan(share):
        return "–"
    return f"{round(100 * share, 1):g}%"


def stamp(value: Any) -> str:
    """A timestamp to the minute; an en dash for a missing value."""
    return "–" if value is None or pd.isna(value) else str(pd.Timestamp(value).strftime("%Y-%m-%d %H:%M"))
