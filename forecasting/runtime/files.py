"""Files that appear under their name whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["replace", "write_text"]


def replace(path: Path, writer: Callable[[Path], object]) -> None:
    """Let `writer` fill a draft beside `path` (of the same suffix) that takes its place once it is whole.

    The folder is made; where the writer fails, what was there stays and no draft is left. Processes that write the
    same file at once do not meet: the last one wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as scratch:
        draft = Path(scratch, path.name)
        writer(draft)
        os.replace(draft, path)


def write_text(path: Path, text: str) -> None:
    """Replace the file by this text, in UTF-8."""
    replace(path, lambda draft: draft.write_text(text, encoding="utf-8"))
