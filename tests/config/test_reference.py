"""docs/configuration.md is what the configuration says of itself: nothing is missing, nothing is out of date."""

import re
from pathlib import Path

import pytest

from forecasting.config.job import Job
from forecasting.config.network import NETWORKS
from forecasting.config.reference import page
from forecasting.config.schema import described
from forecasting.config.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
TEMPLATE = (DOCS / "templates" / "configuration.md").read_text(encoding="utf-8")
PAGE = (DOCS / "configuration.md").read_text(encoding="utf-8")


def under(heading: str) -> dict[str, list[str]]:
    """The rows of the tables under a heading by what stands first: the other cells."""
    text = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#+ |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert text, heading
    rows = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in re.findall(r"^\|.*", text[1], flags=re.M)]
    return {cells[0].strip("`"): cells[1:] for cells in rows}


def test_page_is_that_of_the_code() -> None:
    """After a change of the configuration: make docs-config."""
    assert page(TEMPLATE) == PAGE


def test_every_section_stands_on_the_page_once() -> None:
    """A new section of the configuration needs its line in the template; the kinds of networks are listed by name."""
    lines = re.findall(r"^\{\{ (\w+) \}\}$", TEMPLATE, flags=re.MULTILINE)
    known = {name for name in described()["$defs"] if not name.endswith("Model")}
    assert sorted(lines) == sorted([*known, "Job", "Settings"])
    assert set(under("model")) >= set(NETWORKS)


@pytest.mark.parametrize(
    ("heading", "key", "cells"),
    [
        ("window", "context", ["`auto`", "whole number from 1 to 100,000 or auto", "Steps that the network reads;"]),
        ("series", "duplicates", ["`refuse`", "`mean`, `first`, `last`, `sum`, `refuse`"]),
        ("series", "calendar", ["`[]`", "list of `minute`, `hour`, `day_of_week`,"]),
        ("train", "weight_decay", ["`0.0001`", "number of at least 0", "Weight decay of AdamW."]),
        ("train", "timeout", ["`null`", "number above 0"]),
        ("The job", "schedule", ["`null`", "[schedule](#schedule)"]),
        ("The job", "model", ["`{}`", "[model](#model)"]),
        ("source: file", "kind", ["required", "`file`"]),
        ("source: file", "columns", ["`{}`", "[source.columns](#sourcecolumns)"]),
        ("head: numbers", "quantiles", ["`[0.1, 0.5, 0.9]`", "list of numbers"]),
        ("model: stacked", "cell_options", ["`null`", "[cell_options](#cell_options)"]),
        ("model: deepar", "units", ["`[40, 40]`", "list of one or more whole numbers of at least 1"]),
        ("model", "segrnn", ["[model: segrnn](#model-segrnn)", "[`segrnn`](networks/segrnn.md): a recurrent layer"]),
        ("Environment", "GATECAST_HOME", ["`.gatecast`", "The folder of all of Gatecast's data."]),
    ],
)
def test_row_tells_default_value_and_meaning(heading: str, key: str, cells: list[str]) -> None:
    """As the code has them, in words."""
    assert [cell[: len(begin)] for cell, begin in zip(under(heading)[key], cells, strict=False)] == cells


def test_every_row_is_whole() -> None:
    """A pipe or a line break in a docstring would break the table."""
    widths = {row.count(" | ") for row in re.findall(r"^\| `.*", PAGE, flags=re.MULTILINE)}
    assert widths == {1, 2, 3}
    assert "{{" not in PAGE


def test_every_variable_of_the_environment_is_listed() -> None:
    """Settings are read from it."""
    assert {f"GATECAST_{name.upper()}" for name in Settings.model_fields} <= set(under("Environment"))


def test_links_within_the_page_lead_to_a_heading() -> None:
    """Of this page, as GitHub makes its anchors."""
    headings = re.findall(r"^#+ (.*)$", PAGE, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors


def test_an_unknown_section_in_the_template_is_an_error() -> None:
    """It is not left standing on the page."""
    with pytest.raises(KeyError, match="Bogus"):
        page("# A\n\n{{ Bogus }}\n")


def test_meaning_follows_the_docstring_of_the_attribute() -> None:
    """What is written in the code is what is read on the page."""
    description = Job.model_fields["name"].description
    assert description
    assert under("The job")["name"][2] == description
