"""Forecast requests that are almost right, with what people and programs get wrong put in the place of anything."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st

from benchmarks.harness.served_model import NAME

__all__ = ["ROUTES", "bodies"]

ROUTES: Final = ("/v1/forecast", "/v2/models/{name}/infer", "/invocations", "/invocations/{name}")

_LARGE: Final = "@1e309@"  # no JSON library writes that number by itself
_JUNK: Final = (
    None, True, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 0.5, 1e308, -1e308, 5e-324, 1e300, float("nan"),
    float("inf"), _LARGE, "", "a", "NaN", "nan", "null", "1", "now", "today", "NaT", "2026-01-01", "2026-13-45",
    "2026-01-01T00:00:00+25:00", "2026-03-29T02:30:00+01:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59",
    "2026-01-01T00:00:00.123456789", "../../etc/passwd", "<script>alert(1)</script>", "\x00", "ünï\ud800", "x" * 10_000,
    "h", "D", "MS", "FP64", "BYTES", "INT64", [], {}, [[]], [None], [{}], {"a": [1]}, [1, "a", None, [2]],
)  # fmt: skip
_STAMPS: Final = [str(stamp) for stamp in np.arange("2026-01-05T00", "2026-01-05T12", dtype="datetime64[h]")]
_TABLE: Final[dict[str, list[Any]]] = {
    "unique_id": ["a"] * 12,
    "ds": [f"{stamp}:00:00" for stamp in _STAMPS],
    "y": [round(float(np.sin(step)), 3) for step in range(12)],
}
_ROWS: Final = [dict(zip(_TABLE, row, strict=True)) for row in zip(*_TABLE.values(), strict=True)]
_COVARIATES: Final = {"p": 1.0, "label": "low", "f": 0.5, "area": 2.0, "kind": "city"}
_KINDS: Final = {"unique_id": "BYTES", "ds": "BYTES", "y": "FP64"}
_TENSORS: Final = [
    {"name": name, "datatype": _KINDS[name], "shape": [12], "data": values} for name, values in _TABLE.items()
]
_JSON: Final = {"content-type": "application/json"}

Body = tuple[bytes, dict[str, str]]


def bodies(path: str) -> st.SearchStrategy[Body]:
    """Bodies with their headers for a forecast route: right ones, damaged in a few places."""
    plain = st.sampled_from(_whole(path)).flatmap(lambda whole: _damaged(whole).map(_written))
    raw = st.builds(
        _torn, plain, st.integers(0, 400), st.sampled_from([b"", b"\xff", b"[" * 200, b"NaN", b"}", b"\x00"])
    )
    other = st.builds(lambda body, kind: (body[0], {"content-type": kind}), plain, st.sampled_from(["text/plain", ""]))
    rows = st.lists(st.lists(st.sampled_from([str(junk) for junk in _JUNK]), min_size=3, max_size=3), max_size=4)
    return st.one_of(plain, plain, raw, other, rows.map(_csv) if "invocations" in path else plain)


def _whole(path: str) -> list[Any]:
    rich = [{**row, **_COVARIATES} for row in _ROWS]
    if path == "/v1/forecast":
        asked = {"h": 2, "level": [80], "freq": "h"}
        return [
            {"name": name, **table, **asked}
            for name in (NAME, "farm")
            for table in ({"columns": _TABLE}, {"records": rich}, {"records": _ROWS, "future": _ROWS[:2]})
        ]
    if path.endswith("infer"):
        return [{"inputs": _TENSORS}, {"id": "1", "inputs": _TENSORS, "outputs": [{"name": "q0.5"}]}]
    split = {"columns": list(_TABLE), "data": [list(row.values()) for row in _ROWS]}
    return [{"dataframe_split": split, "params": {"levels": [80]}}, {"dataframe_records": rich}, {"inputs": _TABLE}]


def _damaged(whole: Any) -> st.SearchStrategy[Any]:
    places = list(_places(whole))
    change = st.tuples(st.sampled_from(places), st.sampled_from(_JUNK), st.sampled_from(["put", "drop", "add"]))
    return st.lists(change, max_size=3).map(lambda changes: _changed(whole, changes))


def _places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a document; of long lists to the first, the second and the last."""
    if path:
        yield path
    keys = list(content) if isinstance(content, dict) else []
    if isinstance(content, list) and content:
        keys = sorted({0, min(1, len(content) - 1), len(content) - 1})
    for key in keys:
        yield from _places(content[key], (*path, key))


def _changed(whole: Any, changes: list[tuple[tuple[Any, ...], Any, str]]) -> Any:
    found = copy.deepcopy(whole)
    for (*way, last), junk, how in map(copy.deepcopy, changes):  # each its own: one may be put into another
        try:
            place = found
            for key in way:
                place = place[key]
            if how == "drop":
                del place[last]
            elif how == "add" and isinstance(place, dict):
                place[str(junk)[:50]] = junk
            else:
                place[last] = junk
        except (LookupError, TypeError):  # an earlier change has taken it away
            continue
    return found


def _written(content: Any) -> Body:
    text = json.dumps(content).replace(json.dumps(_LARGE), "1e309")
    return text.encode(), _JSON


def _torn(body: Body, place: int, piece: bytes) -> Body:
    return body[0][:place] + piece + (b"" if piece in (b"", b"}") else body[0][place:]), body[1]


def _csv(rows: list[list[str]]) -> Body:
    lines = [",".join(_TABLE), *(",".join(row) for row in rows)]
    return "\n".join(lines).encode("utf-8", "replace"), {"content-type": "text/csv"}
