"""Commands that run in this process, and a tiny job for them."""

import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from forecasting.cli import main as cli
from tests.cli.tiny import Answer


@pytest.fixture
def gatecast_here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs a command in this process, the child's part too: a process of its own takes seconds, others test it."""

    def call_here(function: str, *args: Any, timeout: float | None = None, **named: Any) -> Any:
        module, name = function.split(":")
        return getattr(importlib.import_module(module), name)(*args, **named)

    monkeypatch.setattr("forecasting.runtime.child.call", call_here)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the command line's framework sets its own

    def run(*arguments: Any) -> Answer:
        monkeypatch.setattr(sys, "argv", ["gatecast", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Answer(ended.value.code, out, err)

    return run


@pytest.fixture
def place(finished: Any, home: Path) -> Path:
    """A copy of the finished home as the home of this test."""
    shutil.copytree(finished.home, home)
    return home


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    """Writes a job of hourly rows of a CSV file, with other keys put in or over."""

    def write(csv: str | None = None, **sections: Any) -> Path:
        if csv is not None:
            (tmp_path / "data.csv").write_text(csv, encoding="utf-8")
        content = {
            "name": "tiny",
            "source": {"kind": "file", "path": str(tmp_path / "data.csv")},
            "series": {"freq": "h"},
            "window": {"context": 12, "horizon": 4},
            "backtest": {"windows": 5},
        }
        path = tmp_path / "job.yaml"
        path.write_text(yaml.safe_dump({**content, **sections}), encoding="utf-8")
        return path

    return write
