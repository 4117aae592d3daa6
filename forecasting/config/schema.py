"""The JSON Schema of a job, for `gatecast schema` and for editors that complete and check a YAML file."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from forecasting.config.job import Job

__all__ = ["described", "job_schema", "schema_text"]


class _WithoutTitles(GenerateJsonSchema):
    """The title of a key would be the key once more."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  (the caller names it)
        return False


def schema_text() -> str:
    """The JSON Schema of a job as a file."""
    return json.dumps(job_schema(), indent=1, ensure_ascii=False) + "\n"


def job_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a job, in plain words."""
    schema: dict[str, Any] = _plain(described())
    model = schema["properties"]["model"]
    names = {"enum": list(model["discriminator"]["mapping"])}  # `model: auto` is short for its name
    schema["properties"]["model"] = {
        "anyOf": [names, {key: model.pop(key) for key in ("discriminator", "oneOf")}],
        **model,
    }
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "Gatecast job"}


def described() -> dict[str, Any]:
    """The same with descriptions in Markdown, whose links lead from the folder of the documentation."""
    return Job.model_json_schema(schema_generator=_WithoutTitles)


def _plain(node: Any) -> Any:
    """Text in place of Markdown, and `{}` where the default is a section that is left out."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _plain(value) for key, value in node.items()}
    if isinstance(plain.get("description"), str):
        plain["description"] = _text(plain["description"])
    if isinstance(plain.get("default"), dict):
        plain["default"] = {}
    return plain


def _text(markdown: str) -> str:
    linked = re.sub(r"\[([^\]]+)\]\(#[^)]*\)", r"\1", markdown)
    linked = re.sub(r"\[([^\]]+)\]\(([^)#]+)(?:#[^)]*)?\)", r"\1 (docs/\2)", linked)
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in linked.split("\n\n"))
