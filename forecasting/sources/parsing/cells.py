"""The cells of a text file as they stand: its header, and rows that have more or fewer of them."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, cast

from forecasting.errors import SourceError

__all__ = ["check_cells", "header_of", "rows_of", "text_of", "without_mark"]

_SHOWN: Final = 5
_PACKED: Final[dict[str, Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


def header_of(path: Path, separator: str, encoding: str = "utf-8") -> list[str]:
    """The cells of the first row that is not blank; none where there is no such row."""
    with rows_of(path, separator, encoding) as rows:
        return next((cells for cells in rows if any(map(str.strip, cells))), [])


def check_cells(path: Path, separator: str, columns: int, encoding: str = "utf-8") -> None:
    """Raise SourceError that names rows which do not have as many cells as there are `columns`.

    Empty cells at the end of a row are nothing that could be lost, and a row without any value is no row.
    """
    with rows_of(path, separator, encoding) as rows:
        if {columns, 0} >= set(map(len, rows)):
            return
    with rows_of(path, separator, encoding) as rows:
        wrong = {number: cells for number, cells in enumerate(rows, 1) if _differs(cells, columns)}
    if not wrong:
        return
    row, cells = next(iter(wrong.items()))
    sizes = " or ".join(f"{size}" for size, _ in Counter(map(len, wrong.values())).most_common(2))
    shown = ", ".join(map(str, list(wrong)[:_SHOWN])) + (", …" if len(wrong) > _SHOWN else "")
    raise SourceError(
        f"{len(wrong)} row(s) of {path} have {sizes} cells, expected {columns} as in the first row: row {shown}"
        f" (row {row}: {separator.join(cells)[:80]!r}); put cells that hold {separator!r}{_such(separator)} into"
        " quotes, or write the file with another separator and name it in source.separator"
    )


def _such(separator: str) -> str:
    return ", such as numbers with a decimal comma," if separator == "," else ""


def _differs(cells: list[str], columns: int) -> bool:
    if len(cells) == columns or not any(map(str.strip, cells)):
        return False
    return len(cells) < columns or any(map(str.strip, cells[columns:]))


@contextmanager
def rows_of(path: Path, separator: str, encoding: str = "utf-8") -> Iterator[Iterator[list[str]]]:
    """The rows of a text file, also a packed one, as their cells."""
    with text_of(path, without_mark(encoding)) as lines:
        if separator == " ":  # one blank stands for any run of blanks
            yield csv.reader(map(_single_blanks, lines), delimiter=" ", skipinitialspace=True)
        else:
            yield csv.reader(lines, delimiter=separator)


def _single_blanks(line: str) -> str:
    return line.strip().replace("\t", " ")


def without_mark(encoding: str) -> str:
    """The encoding that drops the byte order mark which some programs write before UTF-8."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


@contextmanager
def text_of(path: Path, encoding: str) -> Iterator[IO[str]]:
    """A text file, also a packed one, as lines."""
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as content:
            yield io.TextIOWrapper(content, encoding=encoding, newline="")
        return
    with _PACKED.get(path.suffix.lower(), open)(path, "rt", encoding=encoding, newline="") as lines:
        yield cast(IO[str], lines)
