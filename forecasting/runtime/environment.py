"""Environment variables inside paths, database URLs, and secrets."""

import os
import re
from pathlib import Path

from forecasting.errors import SourceError

__all__ = ["expand"]

_NAME = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def expand(text: str, *, key: str) -> str:
    """`text` with every `${NAME}` and `${NAME:-default}` replaced, as in a shell.

    Where NAME is not set and NAME_FILE is, the value is what stands in that file, as with secrets of containers.
    Raises SourceError that names all variables that are not set and have no default, or a file that cannot be read.
    """
    values = {match[1]: _value(match[1], key) for match in _NAME.finditer(text)}
    unset = dict.fromkeys(match[1] for match in _NAME.finditer(text) if values[match[1]] is None and match[2] is None)
    if unset:
        raise SourceError(f"{key} needs the environment variable(s) {', '.join(unset)}, which are not set")
    return _NAME.sub(lambda match: str(match[2] if values[match[1]] is None else values[match[1]]), text)


def _value(name: str, key: str) -> str | None:
    """The value of a variable, or of its file; none where neither is there."""
    if name in os.environ:
        return os.environ[name]
    file = os.environ.get(f"{name}_FILE")
    if file is None:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{key} needs the file of {name}_FILE, which cannot be read: {error}") from error
