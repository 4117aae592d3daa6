"""Everything that a person can name is documented: registry entries, commands, options, shipped jobs."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from forecasting.config.job import load_job
from forecasting.errors import GatecastError

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8")
    for folder in (DOCS, DOCS / "howto", DOCS / "networks")
    for path in sorted(folder.glob("*.md"))
}

# registry: (where it is written down, where it is documented)
REGISTRIES = {
    "SOURCES": ("forecasting/sources/__init__.py", "data.md"),
    "TIME_FEATURES": ("forecasting/series/calendar.py", "configuration.md"),
    "CELLS": ("forecasting/nn/cells/__init__.py", "networks.md"),
    "HEADS": ("forecasting/nn/heads/__init__.py", "networks.md"),
    "MODELS": ("forecasting/nn/models/__init__.py", "networks.md"),
    "METRICS": ("forecasting/evaluation/metrics.py", "evaluation.md"),
    "NGRAMS": ("forecasting/evaluation/ngrams.py", "symbols.md"),
    "SYMBOL_METRICS": ("forecasting/evaluation/symbols.py", "symbols.md"),
    "BASELINES": ("forecasting/evaluation/baselines.py", "baselines.md"),
}


def entries(registry: str) -> list[str]:
    """The keys of a registry, read from its source: a registry is a literal dict with literal keys."""
    tree = ast.parse((ROOT / REGISTRIES[registry][0]).read_text(encoding="utf-8"))
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == registry for target in targets):
            assert isinstance(node.value, ast.Dict), f"{registry} is not a literal dict"
            return [ast.literal_eval(key) for key in node.value.keys if key is not None]
    raise AssertionError(f"{registry} is not in {REGISTRIES[registry][0]}")


def section(page: str, heading: str) -> str:
    """The text under a heading, up to the next heading of any level."""
    found = re.search(rf"^#+ `?{re.escape(heading)}`?$(.*?)(?=^#+ |\Z)", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    assert found, f"docs/{page} has no heading {heading!r}"
    return found.group(1)


def code_words(text: str) -> set[str]:
    """Everything that stands in backticks."""
    return set(re.findall(r"`([^`\n]+)`", text))


def table_keys(text: str) -> set[str]:
    """What stands in backticks in the first column of the tables."""
    return {word for row in re.findall(r"^\|([^|]*)\|", text, flags=re.MULTILINE) for word in code_words(row)}


@pytest.mark.parametrize("registry", REGISTRIES)
def test_every_registry_entry_is_documented(registry: str) -> None:
    """A new cell, network, head, source, metric, baseline or feature needs its words in the documentation."""
    names = entries(registry)
    assert names
    page = REGISTRIES[registry][1]
    headings = set(re.findall(r"^#+ `?([\w-]+)`?", PAGES[page], flags=re.MULTILINE))
    assert set(names) - code_words(PAGES[page]) - headings == set()


def test_every_command_and_option_is_documented() -> None:
    """Each command of `gatecast` has its heading in docs/cli.md, and each of its options stands under it."""
    from forecasting.cli.main import app

    group = typer.main.get_command(app)
    commands = getattr(group, "commands", {})
    assert commands
    missing = []
    for name, command in commands.items():
        text = section("cli.md", f"gatecast {name}")
        options = [option for parameter in command.params for option in parameter.opts if option.startswith("--")]
        missing += [f"{name} {option}" for option in options if option not in text and option != "--help"]
    assert missing == []


def test_documented_commands_exist() -> None:
    """No heading of docs/cli.md tells of a command that is not there."""
    from forecasting.cli.main import app

    documented = set(re.findall(r"^#+ `gatecast (\w+)`", PAGES["cli.md"], flags=re.MULTILINE))
    assert documented == set(getattr(typer.main.get_command(app), "commands", {}))


def test_exit_codes_are_documented() -> None:
    """Every exit code of the error tree stands in the table of exit codes."""
    codes = {GatecastError.exit_code, *(error.exit_code for error in GatecastError.__subclasses__()), 0}
    assert {str(code) for code in codes} <= table_keys(section("cli.md", "Exit codes"))


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_configuration_is_valid(path: Path) -> None:
    """Every job under configs/ passes the checks of `load` and stands in the README."""
    assert load_job(path).name
    assert f"configs/{path.name}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["../README.md", "../CONTRIBUTING.md", *PAGES])
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link of the documentation points to a file that exists."""
    path = (DOCS / page).resolve()
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def defined_in(path: Path) -> set[str]:
    """The names of all functions and methods of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_walk_leads_through_ten_functions() -> None:
    """Ten numbered lines of the architecture, each with a link to the file that defines the function it names."""
    walk = re.findall(
        r"^\d+\. \[`(\w+)`\]\(\.\./([\w/.]+)\)", section("architecture.md", "The way of the data"), flags=re.MULTILINE
    )
    assert len(walk) == 10
    assert [(name, file) for name, file in walk if name not in defined_in(ROOT / file)] == []


def test_a_function_that_is_not_there_is_seen() -> None:
    """The check above can fail: a name that a file only imports is not defined in it."""
    assert "validate" not in defined_in(ROOT / "forecasting" / "storage" / "snapshot.py")
    assert "take" in defined_in(ROOT / "forecasting" / "storage" / "snapshot.py")


def test_the_architecture_shows_every_package() -> None:
    """The tree names each package and module at the top of the library, and no other."""
    tree = section("architecture.md", "The tree").split("pipelines/")[0]
    library = ROOT / "forecasting"
    there = {f"{path.parent.name}/" for path in library.glob("*/__init__.py")} | {"errors.py", "columns.py"}
    assert set(re.findall(r"^  ([\w.]+/?) ", tree, flags=re.MULTILINE)) == there


def test_the_architecture_shows_the_directions_of_import() -> None:
    """The same layers as the contract of the linter; those that are still to be built are left out."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    layers = [layer for layer in tools["importlinter"]["contracts"][0]["layers"] if not layer.startswith("(")]
    assert section("architecture.md", "Directions of import").split("```")[1].strip().splitlines() == layers


def test_files_that_the_architecture_names_exist() -> None:
    """Every path to a Python file in backticks is one of the library or of the repository."""
    named = [word for word in code_words(PAGES["architecture.md"]) if re.fullmatch(r"[\w/]+/\w+\.py", word)]
    assert named
    assert [path for path in named if not any((root / path).is_file() for root in (ROOT, ROOT / "forecasting"))] == []


def test_contributing_is_short() -> None:
    """What a newcomer must read before a change fits in a hundred lines."""
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 100


def test_worked_example_of_contributing_is_right() -> None:
    """The cell that CONTRIBUTING adds computes the equations that it gives for it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    cell, _, loop = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    rng, units = np.random.default_rng(1), 3
    added: dict[str, Any] = {}
    exec(cell, added)
    exec(loop, names := {"np": np, "UNITS": units, "sigmoid": lambda x: 1 / (1 + np.exp(-x))})
    layer = added["layer"](units, activation="tanh", sequences=True, name="gru_2014")
    layer.build((None, 5, 2))
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])
    x, state = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, units))
    expected = names["gru_2014"](x, [state], layer.get_weights(), "tanh")
    computed = np.asarray(layer(x.astype(np.float32), initial_state=[state.astype(np.float32)]))
    np.testing.assert_allclose(computed, expected, atol=1e-5)


def test_the_python_of_symbols_continues_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Run as it is printed, it ends with a hundred symbols of its text's own vocabulary."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGES["symbols.md"], flags=re.MULTILINE | re.DOTALL)
    exec(code, names := dict[str, Any]())
    printed = capsys.readouterr().out.splitlines()[-1]
    assert len(printed) == 100
    assert set(printed) <= set(names["text"])
