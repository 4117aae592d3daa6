"""Everything that a person can name is documented: registry entries, commands, options, shipped jobs."""

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from forecasting.config.job import load_job
from forecasting.errors import GatecastError

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}

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
    path = (ROOT / "docs" / page).resolve()
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


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
