"""Environment variables inside paths and database addresses."""

import os
import re

from forecasting.errors import SourceError

__all__ = ["expand"]

_NAME = re.compile(r"\$\{(\w+)\}")


def expand(text: str, *, key: str) -> str:
    """`text` with every `${NAME}` replaced; raise SourceError that names all variables that are not set."""
    unset = [name for name in dict.fromkeys(_NAME.findall(text)) if name not in os.environ]
    if unset:
        raise SourceError(f"{key} needs the environment variable(s) {', '.join(unset)}, which are not set")
    return _NAME.sub(lambda match: os.environ[match[1]], text)
