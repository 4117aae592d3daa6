"""The JSON Schema that editors read: it is that of this code, says what every key means, and errs as the code does."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from forecasting.config.chosen import SHOWN
from forecasting.config.job import Job, load_job
from forecasting.config.schema import job_schema, schema_text
from forecasting.config.section import Section

ROOT = Path(__file__).parents[2]
FILE = ROOT / "configs" / "job.schema.json"
SHIPPED = sorted(path for folder in ("configs", "benchmarks") for path in (ROOT / folder).rglob("*.yaml"))
SCHEMA = job_schema()

# what no type can say: the code checks more than the schema
GRAMMARS = {
    "Schedule": {"time_zone", "ingest", "training", "batch", "monitor"},
    "FileSource": {"time_zone"},
    "SqlSource": {"time_zone"},
    "NumberHead": {"quantiles"},
    "Gate": {"coverage"},
    "Train": {"init", "validation"},
}
PROBES = [
    None,
    True,
    "x",
    "lstm",
    -1,
    0,
    1,
    1.5,
    [],
    [1],
    [0],
    ["x"],
    [None],
    [0.5, 0.6],
    [0.9, 0.1],
    {},
    {"bogus": 1},
    10**7,
]


def sections(section: type[Section] = Section) -> dict[str, type[Section]]:
    """Every section by the name of its class."""
    found = {each.__name__: each for each in section.__subclasses__()}
    return found | {name: each for part in found.values() for name, each in sections(part).items()}


def test_schema_is_one_and_of_its_dialect() -> None:
    """Editors are told which."""
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "Gatecast job"
    Draft202012Validator.check_schema(SCHEMA)


def test_shipped_schema_is_that_of_the_code() -> None:
    """After a change of the configuration: make docs-config."""
    assert FILE.read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_jobs_name_the_schema_and_keep_it(path: Path) -> None:
    """The first line leads to the schema from wherever the file is; the code reads the job, too."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert found, first
    assert (path.parent / found[1]).resolve() == FILE
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(Draft202012Validator(SCHEMA).iter_errors(content)) == []
    assert load_job(path).name == content["name"]


def test_every_key_says_what_it_means() -> None:
    """In plain sentences: a description, or that of the section it holds; what picks a kind speaks for itself."""
    silent = []
    for name, section in {"Job": SCHEMA, **SCHEMA["$defs"]}.items():
        silent += [] if section.get("description") else [name]
        silent += [
            f"{name}.{key}"
            for key, wanted in section["properties"].items()
            if not {"description", "$ref", "const"} & wanted.keys() and key != "name"
        ]
    assert silent == []
    written = [
        text for text in re.findall(r'"description": "(.*)"', schema_text()) if not re.search(r"[.…:]$|”$", text)
    ]
    assert written == []
    assert not re.search(r"\]\(", schema_text())


def test_every_optional_key_has_its_default() -> None:
    """As the code has it; a section that is left out is an empty one."""
    wrong = []
    for name, section in {"Job": Job, **sections()}.items():
        shown = SCHEMA if name == "Job" else SCHEMA["$defs"].get(name, {"properties": {}})
        for key, wanted in shown["properties"].items():
            field = section.model_fields[key]
            plain = field.default.model_dump(mode="json") if isinstance(field.default, Section) else field.default
            expected = {} if isinstance(field.default, Section) else json.loads(json.dumps(plain, default=str))
            expected = "auto" if field.json_schema_extra == SHOWN else expected
            wrong += [] if field.is_required() or wanted["default"] == expected else [f"{name}.{key}"]
    assert wrong == []


@pytest.mark.parametrize("name", [name for name in SCHEMA["$defs"] if not name.endswith("Model")])
def test_schema_errs_as_the_code_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an editor underlines is refused, and what is refused is underlined, but for grammars that no type tells."""
    for each in sections().values():
        monkeypatch.setattr(each, "RULES", ())  # what keys have against each other
    section, shown = sections()[name], SCHEMA["$defs"][name]
    required = {key: shown["properties"][key] for key in shown.get("required", ())}
    good = {key: wanted.get("const") or wanted["examples"][0] for key, wanted in required.items()}
    editor = Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})
    assert editor.is_valid(good)
    underlined, refused = set(), set()
    for key, probe in itertools.product([*shown["properties"], "bogus"], map(json.dumps, PROBES)):
        content = {**good, key: json.loads(probe)}
        underlined |= set() if editor.is_valid(content) else {(key, probe)}
        refused |= set() if accepts(section, content) else {(key, probe)}
    flags = {key for key, wanted in shown["properties"].items() if "boolean" in json.dumps(wanted)}
    assert underlined - refused <= set(itertools.product(flags, ["0", "1", "[0]", "[1]"]))  # which are false and true
    assert {key for key, _ in refused - underlined} == GRAMMARS.get(name, set())


def accepts(section: type[Section], content: dict[str, Any]) -> bool:
    """Whether the code finds no fault with this."""
    try:
        section.model_validate(content)
    except ValidationError:
        return False
    return True
