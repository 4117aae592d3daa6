"""What every benchmark's command line shares: how it describes itself, and the JSON that it writes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

__all__ = ["one_of", "parser", "publish", "write"]


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """The parser of `python -m benchmarks.NAME`, with `--json`."""
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    return made


def one_of(known: Collection[str]) -> Callable[[str], str]:
    """The `type` of an argument that takes these words; `choices` would refuse that there may be none."""

    def check(word: str) -> str:
        if word not in known:
            raise argparse.ArgumentTypeError(f"there is no {word}, only {', '.join(known)}")
        return word

    return check


def publish(figures: dict[str, Any], path: Path | None) -> None:
    """Print the figures, and write them where a path was given."""
    print(json.dumps(figures, indent=1))
    write(figures, path)


def write(figures: dict[str, Any], path: Path | None) -> None:
    """Write the figures where a path was given."""
    if path:
        path.write_text(json.dumps(figures, indent=1), encoding="utf-8")
