"""Every snippet of README and docs does what its page says, on a home like the one that `make run` leaves.

What talks to a service is in tests/serve/test_snippets.py. What cannot run here is named below, with the reason, and
still checked: files, modules, options, and jobs that it names exist.
"""

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
import yaml
from typer.testing import CliRunner

from forecasting.cli.main import app
from forecasting.config.job import load_job, parse_job
from forecasting.evaluation.backtest import find_origins
from forecasting.series import events
from forecasting.series.folds import folds
from forecasting.storage.store import Store
from tests.snippets import ROOT, Snippet, make_home, named, snippets

DRAWN = {"docs/architecture.md"}  # its blocks are a tree, a chain, and layers; tests/test_docs.py reads them
MADE = "configs/load.yaml"  # a job that a page lets `gatecast init` write
SOLD = "configs/sales.yaml"  # a reader's own job
NOT_HERE = {  # the first word of a command that does not run here: why
    "docker": "needs an engine of containers; tests/stack runs every service without one",
    "cp": "prepares the stack",
    "mkdir": "prepares the stack",
    "sh": "prepares the stack; tests/stack makes its secrets",
    "make": "is the build itself",
    "prefect": "starts a server; tests/pipelines/test_deploy.py has one",
    "mlflow": "starts a server; tests/registry/test_pyfunc.py loads the model",
    "python": "measures for minutes or hours, or trains a worked case; tests/benchmarks and tests/examples run them",
    "pip": "installs; make dist does so, with the wheel",
    "uvx": "installs; make dist does so, with the wheel",
    "curl": "asks the service: tests/serve/test_snippets.py",
}
NOT_RUN = {  # a command of gatecast that does not run here: why
    "run": "trains for minutes; tests/cli runs a tiny job",
    "try": "trains for a minute; tests/cli runs it on a small file",
    "init": "needs a file of one's own; tests/cli runs it on some",
    "tune": "trains for minutes; tests/selection searches a small space",
    "serve": "runs until it is ended; tests/serve starts it",
    "deploy": "needs a Prefect server; tests/pipelines/test_deploy.py has one",
    f"forecast {MADE}": "needs the run of the job that init wrote",
    f"forecast {SOLD}": "needs a job with values known ahead; tests/cli/test_what_if.py has one",
    "forecast configs/sea_surface_frames.yaml": "needs the larger public data; tests/report/test_frames.py writes maps",
}
BLOCKS = [one for one in snippets() if one.page not in DRAWN and one.language != "text"]
SHELL = [(one, command) for one in BLOCKS if one.language in ("", "sh") for command in one.commands]
STEPS = sorted({one.page for one in BLOCKS if one.page.startswith("docs/howto/")})  # their commands build on each other
ALONE = sorted({one.page for one in BLOCKS} - {*STEPS})  # and those of other pages do not
JOB = {"name": "job", "source": {"kind": "synthetic"}, "series": {"freq": "h"}, "window": {"horizon": 4}}


def of(language: str) -> list[Any]:
    """The blocks of one language, each under its page and first words."""
    elsewhere = ("docs/python.md", "docs/index.md") if language == "python" else ()  # tests/api runs them
    found = [one for one in BLOCKS if one.language == language and one.page not in elsewhere]
    found = [one for one in found if "Client(" not in one.text]
    return [pytest.param(one, id=named(one)) for one in found]


def words(command: str) -> list[str]:
    """A command without settings of the environment before it and without the folder of its program."""
    found = [word.strip("\"'") for word in re.findall(r"\"[^\"]*\"|'[^']*'|(?:\$\([^)]*\)|\S)+", command)]
    while "=" in found[0]:
        found = found[1:]
    return [found[0].rpartition("/")[2], *found[1:]]


def is_synopsis(command: str) -> bool:
    """Whether a command names what to put in, as docs/cli.md does: CONFIG, FILE, [--json]."""
    return bool(re.search(r"(^|[\s\[])(CONFIG|NAME|FILE|COMMAND)\b|\[-", command))


def commands(*pages: str, run: bool) -> list[Any]:
    """The concrete commands of gatecast on these pages that run here, or those that do not."""
    lines = [command for one, command in SHELL if one.page in pages and words(command)[0] == "gatecast"]
    found = dict.fromkeys(command[command.index("gatecast ") + 9 :] for command in lines)
    return [one for one in found if not is_synopsis(one) and one.startswith(tuple(NOT_RUN)) is not run]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """The folder in which somebody has run the quickstart: its home, the jobs, their data."""
    place = tmp_path_factory.mktemp("quickstart")
    make_home(place / ".gatecast", database)
    for name in ("configs", "data"):
        (place / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "configs" / "quickstart.yaml", place / "job.yaml")
    return place


@pytest.fixture
def here(left: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the working folder."""
    place = shutil.copytree(left, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(place)
    monkeypatch.setenv("GATECAST_HOME", ".gatecast")
    monkeypatch.setenv("GATECAST_DATASETS", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return place


def test_snippets_are_of_known_kinds() -> None:
    """A block in another language, or a command of another program, needs a test of its own or a reason here."""
    assert {one.language for one in BLOCKS} <= {"", "sh", "yaml", "python", "json", "csv"}
    programs = {words(command)[0] for _, command in SHELL if not is_synopsis(command)}
    assert programs <= {"gatecast", *NOT_HERE}


def test_a_quoted_text_is_one_command() -> None:
    """A body over several lines, a line that goes on, and a remark behind a command are read as a shell does."""
    text = "curl a -d '{\n  \"y\": 1\n}'\nrun a \\\n  b\nmake x   # why\n"
    assert Snippet("p", "", "$ run a\n12 passed\n").commands == ["run a"]
    assert Snippet("p", "sh", text).commands == ["curl a -d '{\n  \"y\": 1\n}'", "run a    b", "make x"]


@pytest.mark.parametrize("command", commands(*ALONE, run=True))
def test_commands_run(command: str, here: Path) -> None:
    """A command that a page prints ends with 0 and without an unexpected error."""
    check_that_it_runs(command, here)


@pytest.mark.parametrize("page", STEPS)
def test_the_steps_of_a_page_run_one_after_the_other(page: str, here: Path) -> None:
    """From the first command to the last, in one home."""
    steps = commands(page, run=True)
    assert steps
    for command in steps:
        check_that_it_runs(command, here)


def check_that_it_runs(command: str, here: Path) -> None:
    """Call it in this process, after what its page takes for granted."""
    if "--external" in command:
        _forecasts_of_others(here)
    if "rollback" in command:
        CliRunner().invoke(app, ["promote", "glucose", "2"])
    done = CliRunner().invoke(app, words(f"gatecast {command}")[1:])
    assert (done.exit_code, done.exception) == (0, None), done.output


@pytest.mark.parametrize("command", commands(*ALONE, *STEPS, run=False))
def test_commands_that_do_not_run_here_are_understood(command: str, here: Path) -> None:
    """Its options exist, and the job that it names can be read."""
    name, *arguments = words(f"gatecast {command}")[1:]
    group = typer.main.get_command(app)
    chosen = group.commands[name]  # type: ignore[attr-defined]
    given = chosen.make_context(name, list(arguments)).params
    for path in np.ravel(given.get("config") or []):
        assert str(path) in (MADE, SOLD) or load_job(Path(path)).name


@pytest.mark.parametrize("command", sorted({c for _, c in SHELL if words(c)[0] == "python"}))
def test_modules_that_a_page_runs_are_there(command: str) -> None:
    """`python -m benchmarks.NAME` names a module."""
    _, flag, module = words(command)[:3]
    assert flag == "-m"
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("snippet", of("yaml"))
def test_jobs_are_valid(snippet: Snippet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece of a job, with what it leaves out put in, passes the checks of a job."""
    for name in ("DB_USER", "DB_PASSWORD"):
        monkeypatch.setenv(name, "x")
    for piece in _pieces(snippet.text):
        if "services" in piece:  # of the stack, and checked by tests/stack
            continue
        content = {**JOB, **piece}
        if content["source"].get("kind") == "frames":
            content["series"] = {"layout": "grid", **content["series"]}
        assert parse_job(content).name == content["name"]


@pytest.mark.parametrize("snippet", of("python"))
def test_python_runs_as_it_is_printed(snippet: Snippet, here: Path) -> None:
    """From the first line to the last, with nothing given."""
    exec(snippet.text, {})


@pytest.mark.parametrize("snippet", of("json"))
def test_json_is_json(snippet: Snippet) -> None:
    """It can be read."""
    assert json.loads(snippet.text)


@pytest.mark.parametrize("snippet", of("csv"))
def test_files_of_events_are_read(snippet: Snippet, here: Path) -> None:
    """Every row of the printed file is an event on its days."""
    (here / "printed.csv").write_text(snippet.text, encoding="utf-8")
    job = parse_job({**JOB, "series": {"freq": "D", "events": "printed.csv"}})
    found = events.resolve(job.series, pd.Timestamp("2025-01-01"), pd.Timestamp("2026-01-01"))
    assert {name.removeprefix("event:") for name in found} == set(pd.read_csv("printed.csv")["name"])


def _pieces(text: str) -> list[dict[str, Any]]:
    """The jobs of a YAML block: another one begins where a key comes again."""
    pieces: list[list[str]] = [[]]
    for line in text.splitlines():
        key = re.match(r"(\w+):", line)
        if key and any(other.startswith(key.group()) for other in pieces[-1]):
            pieces.append([])
        pieces[-1].append(line)
    return [yaml.safe_load("\n".join(piece)) for piece in pieces]


def _forecasts_of_others(here: Path) -> None:
    """A table of forecasts for every judged window of the job, each 100."""
    job = load_job(here / "job.yaml")
    table = Store(here / ".gatecast").observations.read(job.name)
    origins = find_origins(table, job, folds(table, job))
    steps = np.arange(1, job.window.horizon + 1) * np.timedelta64(5, "m")
    cutoffs = np.repeat(origins.cutoff, len(steps))
    rows = {"unique_id": np.repeat(origins.unique_id.astype(str), len(steps)), "cutoff": cutoffs}
    stamps = cutoffs + np.tile(steps, len(origins.cutoff))
    pd.DataFrame(rows | {"ds": stamps, "theirs": 100.0}).to_csv(here / "theirs.csv", index=False)
