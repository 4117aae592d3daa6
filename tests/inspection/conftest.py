"""Files that nobody has described, and a look at them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forecasting.inspection.inspect import Inspection, inspect


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., Inspection]:
    """Writes a file and inspects it; bytes are written as they are."""

    def write(content: str | bytes, name: str = "data.csv", **named: Any) -> Inspection:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return inspect(str(path), **named)

    return write
