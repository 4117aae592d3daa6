"""How pages are made: templates that escape everything, and files under addresses that name their content."""

from __future__ import annotations

import functools
import gzip
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final, NamedTuple

import anyio.to_thread
from fastapi import Response
from jinja2 import Environment

from forecasting.runtime.templates import environment

__all__ = ["Asset", "address", "asset", "html", "render"]

_MEDIA: Final = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "charts.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "plotly-basic.min.js": "text/javascript; charset=utf-8",
}


class Asset(NamedTuple):
    """A file that browsers may keep forever: its address changes with its content."""

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


async def html(template: str, content: Mapping[str, object], status: int = 200) -> Response:
    """A template filled in, as an answer."""
    whole = {"plotly": address("plotly-basic.min.js"), **content}
    text = await anyio.to_thread.run_sync(render, template, whole)
    return Response(text, status, media_type="text/html")


@functools.cache
def _environment() -> Environment:
    made = environment("forecasting.serve.pages")
    made.globals |= {"address": address}
    return made
