"""The page docs/configuration.md: a template whose `{{ … }}` lines become the configuration's own descriptions.

python -m forecasting.config.reference docs
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final, TypeAlias

from pydantic.fields import FieldInfo

from forecasting.config import wording
from forecasting.config.schema import described
from forecasting.config.settings import Settings
from forecasting.runtime.files import write_text

__all__ = ["page"]

Schema: TypeAlias = dict[str, Any]

_LINE: Final = re.compile(r"^\{\{ ([\w.]+) \}\}$", flags=re.MULTILINE)


def page(template: str) -> str:
    """The page.

    `{{ Section }}` becomes what the section says of itself and a table of its keys, `{{ Job.key }}` a table of the
    sections that a key of a job may be, `{{ Settings }}` one of environment variables. Raises KeyError for any other.
    """
    schema, links = described(), _links(template)

    def filled(found: re.Match[str]) -> str:
        name, _, key = found[1].partition(".")
        if key:
            return _kinds(schema["properties"][key], schema, links)
        if name == "Settings":
            variables = [_variable(*each) for each in Settings.model_fields.items()]
            return _table(["variable", "default", "meaning"], variables)
        section = schema if name == "Job" else schema["$defs"][name]
        rows = [_row(key, section, schema, links) for key in section["properties"]]
        return f"{section['description']}\n\n{_table(['key', 'default', 'value', 'meaning'], rows)}"

    return _LINE.sub(filled, template)


def _links(template: str) -> dict[str, str]:
    """Section → a link to the heading that it stands under, with the anchor that GitHub makes of it."""
    links, heading = {}, ""
    for line in template.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif found := _LINE.match(line):
            anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            links[found[1]] = f"[{heading}](#{anchor})"
    return links


def _table(head: list[str], rows: list[list[str]]) -> str:
    first, *others = (f"| {' | '.join(cells)} |" for cells in (head, *rows))
    return "\n".join([first, f"|{'---|' * len(head)}", *others])


def _row(key: str, section: Schema, schema: Schema, links: dict[str, str]) -> list[str]:
    wanted = section["properties"][key]
    default = "required" if key in section.get("required", ()) else f"`{_yaml(wanted['default'])}`"
    value = links.get(f"{section['title']}.{key}") or _value(wanted, schema, links)
    return [f"`{key}`", default, value, _meaning(wanted, schema)]


def _value(wanted: Schema, schema: Schema, links: dict[str, str]) -> str:
    """What a key may hold: links to sections, choices as they are written, else words."""
    if names := _sections(wanted):
        return ", ".join(dict.fromkeys(links[name] for name in names))
    if names := wording.choices(wanted) or wording.choices(wanted.get("items", {})):
        return f"{'list of ' if 'items' in wanted else ''}`{'`, `'.join(names)}`"
    return wording.allowed(wanted, schema).removeprefix("a ")


def _meaning(wanted: Schema, schema: Schema) -> str:
    """What is said of the key, else of the section that it holds."""
    if "description" not in wanted and "$ref" in wanted:
        wanted = schema["$defs"][_sections(wanted)[0]]
    return _joined(wanted.get("description", "Picks this kind.")).partition("\n")[0]


def _kinds(wanted: Schema, schema: Schema, links: dict[str, str]) -> str:
    """The sections that a key may be, by what is written to pick them."""
    key, rows = wanted["discriminator"]["propertyName"], []
    for name in _sections(wanted):
        section = schema["$defs"][name]
        [shown] = _sections(section["properties"].get("params", {})) or [name]
        tag, meaning = section["properties"][key]["const"], _meaning(schema["$defs"][shown], schema)
        rows.append([f"`{tag}`", links[shown], meaning])
    return _table([f"`{key}`", "`params`", "meaning"], rows)


def _sections(wanted: Schema) -> list[str]:
    """The names of the sections that a key may hold."""
    options = [wanted, *wanted.get("oneOf", ()), *wanted.get("anyOf", ())]
    return [each["$ref"].rpartition("/")[2] for each in options if "$ref" in each]


def _variable(name: str, field: FieldInfo) -> list[str]:
    default = "see there" if field.default_factory or field.default is None else f"`{field.default}`"
    return [f"`GATECAST_{name.upper()}`", default, _joined(field.description or "")]


def _yaml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return "{}"
    return value if isinstance(value, str) else json.dumps(value)


def _joined(text: str) -> str:
    """A docstring with one line for each paragraph."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


if __name__ == "__main__":
    docs = Path(sys.argv[1])
    write_text(docs / "configuration.md", page((docs / "templates" / "configuration.md").read_text(encoding="utf-8")))
