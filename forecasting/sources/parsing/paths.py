"""Which files a source names."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from forecasting.errors import SourceError
from forecasting.runtime.environment import expand

__all__ = ["matching"]


def matching(patterns: str | tuple[str, ...], *, key: str = "source.path") -> list[Path]:
    """The files of one glob or several, each once; raises SourceError that names `key` for one that no file matches."""
    paths: list[Path] = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        found = sorted(_matches(expand(pattern, key=key)))
        files = [Path(path) for path in found if Path(path).is_file()]
        if not files:
            named = re.findall(r"\$\{(\w+)", pattern)
            hint = f"; set {' and '.join(named)} to another folder" if named else ""
            raise SourceError(f"no file matches {key} {pattern!r} (working directory {Path.cwd()}){hint}")
        paths += files
    return list(dict.fromkeys(paths))


def _matches(pattern: str) -> list[str]:
    return glob.glob(str(Path(pattern).expanduser()), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute one
