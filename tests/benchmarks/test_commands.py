"""Every benchmark is a command that `make bench` runs and that the documentation explains."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
COMMANDS = {path.stem for path in FOLDER.glob("[a-z]*.py")} | {
    path.parent.name for path in FOLDER.glob("*/__main__.py")
}


def test_make_bench_runs_every_command() -> None:
    """Each once, with or without public data."""
    lists = re.findall(
        r"^(?:BENCHMARKS|ON_DATA) := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    names = " ".join(lists).split()
    assert sorted(names) == sorted(COMMANDS)


def test_every_command_is_documented_and_every_documented_command_is_there() -> None:
    """With the line that runs it."""
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("**/*.md")]
    named = {name for page in pages for name in re.findall(r"python -m benchmarks\.(\w+)", page)}
    assert named == COMMANDS
