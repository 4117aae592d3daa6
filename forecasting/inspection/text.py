"""How a text file is written: encoding, separator of cells, and whether its first row names the columns."""

from __future__ import annotations

import csv
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Final

from forecasting.inspection.findings import Found
from forecasting.sources.parsing.cells import rows_of, text_of

__all__ = ["describe_text"]

_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas", " ": "blanks"}  # in order of trust
_LINES: Final = 500
_NUMBER: Final = re.compile(r"[+-]?[\d.,' ]*\d[\d.,' ]*(?:[eE][+-]?\d+)?")
_STAMP: Final = re.compile(r"\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([ T].*)?")


def describe_text(path: Path, findings: Found) -> None:
    """Find `source.encoding`, `source.separator`, and `source.header`."""
    encoding, why = _encoding(path)
    if encoding != "utf-8":
        findings.guess("source.encoding", encoding, why, ("cp1252", "latin-1", "utf-16"))
    encoding = findings.value("source.encoding", encoding)
    with text_of(path, encoding) as lines:
        head = [line for line in islice(lines, _LINES) if line.strip()]
    separator, why = _separator(head)
    if separator != ",":
        findings.add("source.separator", separator, why)
    with rows_of(path, separator, encoding) as rows:
        cells = [row for row in islice(rows, _LINES) if any(cell.strip() for cell in row)]
    named, why, sure = _header(cells)
    if not sure:
        named = findings.guess("source.header", named, why, (True, False))
    if not named:
        findings.add("source.header", False, why)


def _encoding(path: Path) -> tuple[str, str]:
    with text_of(path, "latin-1") as lines:  # which shows every byte as it is
        content = lines.read().encode("latin-1")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16", "a byte order mark says so"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return "cp1252", f"byte {error.start:,} is no UTF-8; most other files of this kind come from Windows"
    return "utf-8", ""


def _separator(lines: list[str]) -> tuple[str, str]:
    """The sign that cuts the same number of cells, more than one, from most lines."""
    best, score, cells = ",", 0.0, 1
    for sign in _SEPARATORS:
        rows = csv.reader((line.strip() for line in lines) if sign == " " else lines, delimiter=sign)
        sizes = Counter(len([cell for cell in row if cell]) if sign == " " else len(row) for row in rows)
        size, count = sizes.most_common(1)[0] if sizes else (1, 0)
        if size > 1 and count / len(lines) > score:
            best, score, cells = sign, count / len(lines), size
    return best, f"{_SEPARATORS[best]} cut {cells} cells from {score:.0%} of the rows"


def _header(rows: list[list[str]]) -> tuple[bool, str, bool]:
    """Whether the first row names the columns, why, and whether that is sure."""
    if len(rows) < 2:
        return True, "a single row", False
    first, body = rows[0], rows[1:50]
    values = [cell for cell in first if _is_value(cell)]
    if not values:
        return True, "the first row holds names", True
    whole = all(re.fullmatch(r"\d+", cell.strip()) for cell in first) and len({*first}) == len(first) > 3
    if whole and any(not re.fullmatch(r"\d+", cell.strip()) for row in body for cell in row):
        return True, "the first row holds whole numbers, each once, like names", False
    if len(values) < len(first) / 2:
        return True, "most cells of the first row are names", False
    return False, "the first row holds values like all others", len(values) == len(first)


def _is_value(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell.strip()) or _STAMP.fullmatch(cell.strip()))
