"""Every example of the API's docstrings gives what it says."""

import doctest
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import forecasting as fc
from forecasting.api.judging import BacktestResult
from forecasting.api.model import FittedModel

MODULES = ("fitting", "jobs", "judging", "model", "running")


def public() -> Iterator[tuple[str, str]]:
    """Name and docstring of everything that the API offers."""
    for name in fc.__all__:
        yield name, inspect.getdoc(getattr(fc, name)) or ""
    for owner in (FittedModel, BacktestResult):
        for name, member in vars(owner).items():
            if not name.startswith("_"):
                yield f"{owner.__name__}.{name}", inspect.getdoc(member) or ""


def test_everything_public_has_an_example() -> None:
    """Functions, methods, and properties show how they are used."""
    assert [name for name, text in public() if ">>> " not in text] == []


@pytest.mark.parametrize("module", MODULES)
def test_examples_give_what_they_say(module: str, examples: dict[str, Any]) -> None:
    """Run as they are printed, given a table, a job, a model, and a folder."""
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(f"forecasting.api.{module}"))
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    printed: list[str] = []
    for test in found:
        test.globs |= examples
        runner.run(test, out=printed.append)
    assert "".join(printed) == ""
    assert runner.tries > 0
