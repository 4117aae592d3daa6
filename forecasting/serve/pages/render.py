"""How pages are made: templates that escape everything, and files under addresses that name their content."""

from __future__ import annotations

import functools
import gzip
import hashlib
import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final, NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["Asset", "address", "asset", "number", "percent", "render", "stamp"]

_MEDIA: Final = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "charts.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "plotly-basic.min.js": "text/javascript; charset=utf-8",
}


class Asset(NamedTuple):
    """A file that browsers may keep for ever: its address changes with its content."""

    body: bytes
    packed: bytes  # with gzip
    media: str
    digest: str


@functools.cache
def asset(name: str) -> Asset:
    """The file of that name; raises KeyError for any other than those that the pages need."""
    media = _MEDIA[name]
    body = files(__package__).joinpath("static", name).read_bytes()
    return Asset(body, gzip.compress(body, 6, mtime=0), media, hashlib.sha256(body).hexdigest()[:16])


def address(name: str) -> str:
    """Where a browser finds the file."""
    return f"/static/{asset(name).digest}/{name}"


def render(template: str, content: Mapping[str, object]) -> str:
    """A template filled in; whatever it is given is text, never markup."""
    return _environment().get_template(template).render(content)


def number(value: float | None) -> str:
    """Four digits, whole numbers from 10,000 on; an en dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def percent(share: float | None) -> str:
    """A share in per cent with one digit, without it where it is zero."""
    if share is None or not math.isfinite(share):
        return "–"
    return f"{round(100 * share, 1):g}%"


def stamp(value: Any) -> str:
    """A stamp to the minute."""
    return "–" if value is None or pd.isna(value) else str(pd.Timestamp(value).strftime("%Y-%m-%d %H:%M"))


@functools.cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("forecasting.serve.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "stamp": stamp, "percent": percent}
    made.globals |= {"address": address}
    return made
