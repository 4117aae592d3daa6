"""The notebooks run from their first cell to their last, and hold no output of anybody's machine."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(900)  # a minute of two cores, which other tests may need at the time
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))


def outputs(cell: Any, kind: str) -> list[str]:
    """What a cell has shown of this kind."""
    shown = [output.get("data", {}).get(kind) for output in cell.get("outputs", [])]
    return [text for text in shown if text]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs a notebook in its folder, as a reader would; an error in a cell is an error here."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    def execute(name: str) -> list[Any]:
        path = ROOT / "examples" / "notebooks" / name
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(path.parent)}})
        client.execute()
        if keep := os.environ.get("KEEP_NOTEBOOKS"):
            nbformat.write(notebook, Path(keep) / name)
        return [cell for cell in notebook.cells if cell.cell_type == "code"]

    return execute


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    """Valid, and as if nobody had run it."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert [cell for cell in cells if cell.outputs or cell.execution_count is not None] == []


def test_the_first_forecast_is_drawn_in_five_lines(run: Any) -> None:
    """The first cell ends with a figure of both intervals; judgment and forecasts are tables; the bar has gone."""
    five, _, table, judged, *_ = cells = run("first_forecast.ipynb")
    lines = five.source[five.source.index("import forecasting as fc") :].splitlines()
    assert len([line for line in lines if line]) == 5
    (figure,) = outputs(five, "application/vnd.plotly.v1+json")
    assert {trace["name"] for trace in figure["data"]} >= {"forecast", "q0.025", "q0.975"}
    assert "-lo-80" in outputs(table, "text/html")[0]
    assert "every rule" in outputs(judged, "text/html")[-1] or "was refused" in outputs(judged, "text/html")[-1]
    assert [text for cell in cells for text in outputs(cell, "text/html") if "<progress" in text] == []
    assert [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"] == []


def test_a_day_in_production_ends_with_a_verdict(run: Any) -> None:
    """Readings arrive, are forecast from, and are judged by the monitor; every command has said what it did."""
    cells = run("a_day_in_production.ipynb")
    said = "".join(output.get("text", "") for cell in cells for output in cell.outputs)
    assert "live: " in said
    assert said.count("glucose: data version") == 2
    assert re.search(r"^(fine|not judged|recalibrate|retrain|alarm): version \d+, ", said, flags=re.MULTILINE)
    assert "promote" in said
