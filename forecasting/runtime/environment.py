"""Environment variables inside paths and database URLs."""

import os
import re

from forecasting.errors import SourceError

__all__ = ["expand"]

_NAME = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def expand(text: str, *, key: str) -> str:
    """`text` with every `${NAME}` and `${NAME:-default}` replaced, as in a shell.

    Raises SourceError that names all variables that are not set and have no default.
    """
    found = _NAME.finditer(text)
    unset = dict.fromkeys(match[1] for match in found if match[1] not in os.environ and match[2] is None)
    if unset:
        raise SourceError(f"{key} needs the environment variable(s) {', '.join(unset)}, which are not set")
    return _NAME.sub(lambda match: os.environ.get(match[1], match[2]), text)
