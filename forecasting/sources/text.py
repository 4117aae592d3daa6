"""Text files into a long table of symbols: one series per file, one step per character, word or line."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.series import Series
from forecasting.config.source import TextSource
from forecasting.errors import SourceError
from forecasting.series.vocabulary import split_text
from forecasting.sources.parsing.paths import matching
from forecasting.sources.parsing.stamps import steps

__all__ = ["read"]


def read(source: TextSource, series: Series, _name: str) -> pd.DataFrame:
    """The symbols of all files that match, called by their names without endings; the first step is the same for all.

    Raises SourceError for no match, an unreadable file, one without symbols, and two of the same name.
    """
    paths = {path: path.name.split(".")[0] for path in matching(source.path)}
    twice = sorted({name for name in paths.values() if list(paths.values()).count(name) > 1})
    if twice:
        raise SourceError(f"several files of source.path would be the series {', '.join(twice)}; rename them")
    symbols = {name: split_text(_text(path), source.unit) for path, name in paths.items()}
    empty = [name for name, found in symbols.items() if not found]
    if empty:
        raise SourceError(f"no {source.unit} stands in {', '.join(empty)}; leave the file out of source.path")
    stamps = steps(max(map(len, symbols.values())), series.freq)
    tables = [
        pd.DataFrame({UNIQUE_ID: pd.Series(name, index=range(len(found)), dtype="str"), DS: stamps[: len(found)],
                      Y: pd.Series(found, dtype="str")})
        for name, found in symbols.items()
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def _text(path: Path) -> str:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SourceError(f"cannot read {path}: {error}") from error
