"""The job as YAML, with a comment at each line that says why."""

from __future__ import annotations

from typing import Any, Final

import yaml

from forecasting.inspection.findings import Finding, Found

__all__ = ["job_yaml"]

_SECTIONS: Final = ("name", "source", "series", "window", "model", "selection")
_GUESS: Final = "A GUESS: "
_WIDTH: Final = 44  # columns that keys take before comments


def job_yaml(findings: Found, head: str) -> str:
    """All findings as lines of YAML, section by section, guesses marked; then what was left out, as comments."""
    ordered = sorted(findings.found.values(), key=_place)
    lines = ["# yaml-language-server: $schema=job.schema.json", f"# {head}"]
    open_sections: tuple[str, ...] = ()
    for finding in ordered:
        *sections, key = finding.key.split(".")
        for depth, section in enumerate(sections):
            if open_sections[: depth + 1] != tuple(sections[: depth + 1]):
                lines.append(f"{'  ' * depth}{section}:")
        open_sections = tuple(sections)
        lines.append(_line(f"{'  ' * len(sections)}{key}: {_value(finding.value)}", finding))
    return "\n".join([*lines, *(f"# {note}" for note in findings.notes)]) + "\n"


def _place(finding: Finding) -> tuple[int, int]:
    """The place of its section, with the keys of nested sections behind the others."""
    section, *rest = finding.key.split(".")
    return (_SECTIONS.index(section) if section in _SECTIONS else len(_SECTIONS), len(rest))


def _line(text: str, finding: Finding) -> str:
    why = " ".join(f"{'' if finding.sure else _GUESS}{finding.why}".split())
    return f"{text.ljust(_WIDTH)}  # {why}" if why else text


def _value(value: Any) -> str:
    """A value in the flow style of YAML, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False)
    return text.removesuffix("...\n").strip()
