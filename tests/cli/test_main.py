"""The command as a whole: help, version, exit codes, and one clear message."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from forecasting.cli.main import app
from tests.cli.tiny import Answer

COMMANDS = sorted(getattr(typer.main.get_command(app), "commands", {}))


def test_help_is_instant_and_names_every_command(gatecast: list[str]) -> None:
    """It loads nothing heavy, and no sentence of it is cut off."""
    code = (
        "import sys; sys.argv = ['gatecast', '--help']\nfrom forecasting.cli.main import main\ntry: main()\n"
        "except SystemExit as end: print(end.code)\n"
        "print(*{'tensorflow','keras','mlflow','prefect','pandas','numpy','sklearn','onnxruntime'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-2:] == ["0", ""]
    listed = {*COMMANDS, "--version", "--debug", "--help"}
    assert [name for name in listed if f"  {name} " not in done.stdout] == []
    assert [line for line in done.stdout.splitlines() if line.startswith("  ") and line.endswith("...")] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_starts(gatecast_here: Callable[..., Answer], command: str) -> None:
    """Each prints its own usage, on standard output alone."""
    answer = gatecast_here(command, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"Usage: gatecast {command} ")


def test_version_is_that_of_the_installation(gatecast_here: Callable[..., Answer]) -> None:
    """On standard output, and nothing else."""
    assert gatecast_here("--version") == (0, f"{version('gatecast')}\n", "")


@pytest.mark.parametrize(
    "arguments", [["bogus"], ["run"], ["run", "x.yaml", "--bogus"], ["promote", "tiny", "newest"], ["forecast"]]
)
def test_wrong_usage_ends_with_2(gatecast_here: Callable[..., Answer], arguments: list[str]) -> None:
    """Unknown commands and options, missing or unreadable arguments: said on standard error, nothing on the other."""
    answer = gatecast_here(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert "Traceback" not in answer.err
    assert answer.err


@pytest.mark.parametrize("command", ["run", "ingest", "check", "train", "backtest", "forecast"])
def test_bad_configuration_lists_every_violation_once(
    gatecast_here: Callable[..., Answer], config: Callable[..., Path], home: Path, command: str
) -> None:
    """Unknown keys with the valid ones, wrong types and wrong values, all in one message of every command."""
    path = config(window={"contxt": 5, "context": "far", "horizon": 0}, epochs=3, head={"quantiles": [0.9, 0.1]})
    answer = gatecast_here(command, path)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("error:") == 1
    assert "has 5 violations:" in answer.err
    for part in ("window.contxt: unknown key (did you mean context?)", "window.context: must be a whole number"):
        assert part in answer.err
    for part in ("window.horizon: ", "epochs: unknown key", "head.quantiles: must increase strictly"):
        assert part in answer.err
    assert "Traceback" not in answer.err
    assert not home.exists()


def test_unknown_names_are_listed_together(
    gatecast_here: Callable[..., Answer], config: Callable[..., Path], home: Path
) -> None:
    """Metric, baseline, frequency, calendar feature, network and head are looked up before anything is read."""
    gate, named = {"primary": "accuracy", "baselines": ["naive", "arima"]}, {"name": "transformer"}
    series = {"freq": "fortnight", "calendar": ["moon"]}
    answer = gatecast_here("ingest", config(series=series, gate=gate, model=named, head=named))
    assert (answer.code, answer.out) == (2, "")
    for part in ("6 violations", "accuracy", "arima", "fortnight", "moon", "model.name: ", "head.name: "):
        assert part in answer.err
    assert not home.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [1,", "is not valid YAML"),
        ("- a\n- b\n", "must hold a mapping with the keys name, source"),
        ("", "must hold a mapping"),
        (None, "cannot read the configuration"),
    ],
)
def test_unreadable_configuration_is_one_sentence(
    gatecast_here: Callable[..., Answer], tmp_path: Path, text: str | None, message: str
) -> None:
    """No YAML, no mapping, no file."""
    path = tmp_path / "job.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    answer = gatecast_here("run", path)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert "Traceback" not in answer.err


def test_wrong_configuration_is_answered_without_anything_heavy(
    gatecast: list[str], config: Callable[..., Path], home: Path
) -> None:
    """In a real process, before TensorFlow, Prefect, MLflow or pandas is loaded, and without a word of the data."""
    path = config(model={"name": "stacked", "params": {"unit": [4], "cell": "lsmt", "dropout": 2}})
    code = (
        f"import sys; sys.argv = ['gatecast', 'run', {str(path)!r}]\n"
        "from forecasting.cli.main import main\ntry: main()\n"
        "except SystemExit as end: print(end.code)\n"
        "print(*{'tensorflow','keras','mlflow','prefect','pandas','numpy','plotly'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["2", ""]
    assert done.stderr.count("error:") == 1
    for part in ("3 violations", "params.unit: unknown key (did you mean units?)", "params.cell", "params.dropout"):
        assert part in done.stderr
    assert "data.csv" not in done.stderr
    assert not home.exists()


def test_debug_gives_the_traceback(gatecast: list[str], config: Callable[..., Path]) -> None:
    """Wherever it stands among the arguments."""
    done = subprocess.run([*gatecast, "--debug", "ingest", str(config())], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "SourceError" in done.stderr


def test_a_home_that_is_a_file_is_named(
    gatecast_here: Callable[..., Answer], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is configuration too."""
    home.write_text("here", encoding="utf-8")
    answer = gatecast_here("models")
    assert answer.code == 2
    assert "GATECAST_HOME must name a directory" in answer.err
    assert "Traceback" not in answer.err


def test_commands_on_an_empty_home_say_what_to_do(
    gatecast_here: Callable[..., Answer], finished: Any, config: Callable[..., Path]
) -> None:
    """Nothing stored, nothing registered: each says which command comes first, or that there is nothing."""
    for command in ("train", "backtest"):
        answer = gatecast_here(command, finished.config)
        assert answer.code == 1
        assert "no observations of tiny are stored; read them with: gatecast ingest CONFIG" in answer.err
    answer = gatecast_here("forecast", finished.config)
    assert (answer.code, "no model named tiny is registered" in answer.err) == (1, True)
    for arguments in (["models", "tiny"], ["promote", "tiny", 1], ["rollback", "tiny"]):
        answer = gatecast_here(*arguments)
        assert answer.code == 1
        assert answer.message == "error: no model named tiny is registered; known models: none"
    assert gatecast_here("models").out == "no model is registered yet; register one with: gatecast run CONFIG\n"
    assert json.loads(gatecast_here("models", "--json").out) == {}


@pytest.mark.parametrize("package", ["onnx", "prefect"])
def test_a_base_install_says_what_to_install(gatecast: list[str], finished: Any, package: str) -> None:
    """Where an extra is missing, a command that needs it ends with one sentence, and with 2."""
    code = f"import sys; sys.modules[{package!r}] = None; from forecasting.cli.main import main; main()"
    command = [sys.executable, "-c", code, "check", str(finished.config), "--leakage"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: the package {package} is not installed: ")
    assert "pip install 'gatecast[all]'" in done.stderr
    assert done.stderr.count("\n") == 1
