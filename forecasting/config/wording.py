"""Sentences on valid values of a key and on its faults, from the JSON Schema of its section."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import date
from functools import cache
from typing import Any, TypeAlias

from pydantic import BaseModel

__all__ = ["allowed", "choices", "close_match", "fault", "unfit"]

Schema: TypeAlias = dict[str, Any]


def fault(section: type[BaseModel], content: Any, item: Any) -> tuple[str, str]:
    """Place and sentence of one of pydantic's errors in a section."""
    loc, kind = item["loc"], item["type"]
    if not loc:
        return "", _wrong(_a_section(_schema(section)), item["input"])
    if kind in ("extra_forbidden", "invalid_key"):
        return _unknown(loc[0] if kind == "extra_forbidden" else item["input"], list(section.model_fields))
    if kind == "missing" and len(loc) == 1:
        return loc[0], f"this key is required{_example(section, loc[0])}"
    if kind == "value_error":  # a validator of our own, with a sentence of its own
        return ".".join(map(str, loc)), str(item["ctx"]["error"])
    if kind.startswith("union_tag_"):
        return _without_kind(section, loc[0], content[loc[0]])
    path = _within(loc if kind != "missing" else loc[:-1])
    value = content
    for part in path:
        value = value[part]
    return ".".join(map(str, path)), unfit(section, path, value)


def unfit(section: type[BaseModel], path: tuple[Any, ...], value: Any) -> str:
    """The sentence for a value that a key cannot hold, or that one of its items cannot: `(key, index, …)`."""
    schema = _schema(section)
    wanted: Schema = schema["properties"][path[0]]
    for index in path[1:]:
        wanted = _item(wanted, index)
    return _wrong(allowed(wanted, schema), value, choices(wanted))


def allowed(wanted: Schema, schema: Schema) -> str:
    """The valid values in words: `a whole number of at least 1`, `one of mean, first, last`."""
    if names := choices(wanted):
        return names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    if "discriminator" in wanted:
        key = wanted["discriminator"]["propertyName"]
        return f"a section whose {key} is one of {', '.join(_kinds(wanted, schema))}"
    if "$ref" in wanted:
        return _a_section(schema["$defs"][wanted["$ref"].rpartition("/")[2]])
    if "anyOf" in wanted:
        words = [allowed(each, schema) for each in wanted["anyOf"] if each.get("type") != "null"]
        return "a number" if words == ["a whole number", "a number"] else " or ".join(words)
    if wanted["type"] == "array":
        return _a_list(wanted, schema)
    if wanted["type"] in ("integer", "number"):
        return f"a {'whole number' if wanted['type'] == 'integer' else 'number'}{_range(wanted)}"
    return "true or false" if wanted["type"] == "boolean" else "text"


def choices(wanted: Schema) -> list[str]:
    """The values of a key that takes one of a few."""
    found = [*wanted.get("enum", ()), *([wanted["const"]] if "const" in wanted else ())]
    options = [each for each in wanted.get("anyOf", ()) if each.get("type") != "null"]
    if options and all(map(choices, options)):
        found += [choice for each in options for choice in choices(each)]
    return list(map(str, found))


def close_match(value: Any, names: Iterable[str]) -> str:
    """` (did you mean …?)` if a name is near, else nothing."""
    close = difflib.get_close_matches(value.lower(), list(names), n=1) if isinstance(value, str) else []
    return f" (did you mean {close[0]}?)" if close else ""


@cache
def _schema(section: type[BaseModel]) -> Schema:
    return section.model_json_schema()


def _within(loc: tuple[Any, ...]) -> tuple[Any, ...]:
    """Key and indices of an error: behind them pydantic names the member of a union that it tried."""
    end = next((number for number, part in enumerate(loc[1:], start=1) if not isinstance(part, int)), len(loc))
    return loc[:end]


def _item(wanted: Schema, index: int) -> Schema:
    array = next(each for each in (wanted, *wanted.get("anyOf", ())) if each.get("type") == "array")
    found: Schema = array["prefixItems"][index] if "prefixItems" in array else array["items"]
    return found


def _a_section(schema: Schema) -> str:
    return f"a section with the keys {', '.join(schema['properties'])}"


def _a_list(wanted: Schema, schema: Schema) -> str:
    if "prefixItems" in wanted:
        return f"a list of {len(wanted['prefixItems'])}, each {allowed(wanted['prefixItems'][0], schema)}"
    one = allowed(wanted["items"], schema)
    several = re.sub(r"\ba (whole number|number)", r"\1s", one).replace("text", "texts").replace("one of", "any of")
    return f"a list of {'one or more ' if wanted.get('minItems') else ''}{several}"


def _range(wanted: Schema) -> str:
    least, most = wanted.get("minimum"), wanted.get("maximum")
    if wanted["type"] == "integer":  # above 0 is of at least 1
        least = wanted["exclusiveMinimum"] + 1 if "exclusiveMinimum" in wanted else least
        most = wanted["exclusiveMaximum"] - 1 if "exclusiveMaximum" in wanted else most
    if least is not None and most is not None:
        return f" from {least:,} to {most:,}"
    words = [f"of at least {least:,}"] if least is not None else []
    words += [f"above {wanted['exclusiveMinimum']:,}"] if least is None and "exclusiveMinimum" in wanted else []
    words += [f"at most {most:,}"] if most is not None else []
    words += [f"below {wanted['exclusiveMaximum']:,}"] if most is None and "exclusiveMaximum" in wanted else []
    return f" {' and '.join(words)}" if words else ""


def _unknown(key: Any, keys: list[str]) -> tuple[str, str]:
    trap = "" if isinstance(key, str) else "; YAML reads a word such as on as true, unless it is in quotes"
    return _yaml(key), f"unknown key{close_match(key, keys)}{trap}; valid keys: {', '.join(keys)}"


def _without_kind(section: type[BaseModel], name: str, value: Any) -> tuple[str, str]:
    """The kind of a section, such as `source.kind`, is missing or unknown."""
    schema = _schema(section)
    wanted: Schema = schema["properties"][name]
    key, kinds = wanted["discriminator"]["propertyName"], _kinds(wanted, schema)
    if key not in value:
        return f"{name}.{key}", f"this key is required; it is one of {', '.join(kinds)}"
    return f"{name}.{key}", _wrong(f"one of {', '.join(kinds)}", value[key], kinds)


def _kinds(wanted: Schema, schema: Schema) -> list[str]:
    """The names of the sections of which a key takes one."""
    key = wanted["discriminator"]["propertyName"]
    parts = [schema["$defs"][each["$ref"].rpartition("/")[2]] for each in wanted["oneOf"]]
    return [name for part in parts for name in choices(part["properties"][key])]


def _example(section: type[BaseModel], name: str) -> str:
    examples = section.model_fields[name].examples
    return f", for example {name}: {_yaml(examples[0])}" if examples else ""


def _wrong(wanted: str, value: Any, names: Iterable[str] = ()) -> str:
    return f"must be {wanted}, got {_shown(value)}{close_match(value, names)}{_hint(wanted, value)}"


def _hint(wanted: str, value: Any) -> str:
    """A hint on values that YAML has changed."""
    if value is None:
        return "; write a value, or leave the key out"
    if isinstance(value, str) and value.lower() in ("none", "null"):
        return "; to set nothing, leave the key out or write null"
    if not ("text" in wanted or wanted.startswith("one of")):
        return ""
    if isinstance(value, bool):
        return '; YAML reads yes, no, on, and off as true or false: put the word into quotes, as in "no"'
    if isinstance(value, date):  # a stamp is one, too
        return f'; YAML reads this as a date: put it into quotes, as in "{value}"'
    if isinstance(value, int | float):
        return f'; YAML reads this as a number: put it into quotes, as in "{value}"'
    return ""


def _shown(value: Any) -> str:
    """A value, shortened, as in YAML."""
    if isinstance(value, dict):
        return f"a section with the keys {', '.join(map(str, value))}" if value else "an empty section"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else f"{value[:77]}…")
    return "nothing" if value is None else _yaml(value)


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
