"""What was found of a file, key by key: the value, why it is so, and whether it could be another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

__all__ = ["Ask", "Finding", "Found", "Question"]


class Finding(NamedTuple):
    """A key of the job: its value, and the reason for it."""

    key: str
    value: Any
    why: str
    sure: bool = True


class Question(NamedTuple):
    """A question to the user about an ambiguous key: the likeliest value, the reason, and the alternatives."""

    key: str
    value: Any
    why: str
    options: tuple[Any, ...] = ()


Ask: TypeAlias = Callable[[Question], Any]


@dataclass
class Found:
    """Everything that was found so far; without `ask`, the likeliest value is taken and marked as a guess."""

    ask: Ask | None = None
    found: dict[str, Finding] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what has no key: columns left out, and the like

    def add(self, key: str, value: Any, why: str) -> None:
        """Note what the data says."""
        self.found[key] = Finding(key, value, why)

    def guess(self, key: str, value: Any, why: str, options: Sequence[Any] = ()) -> Any:
        """Note what the data only suggests, and return what it is then: a person who is there decides."""
        if self.ask is None:
            self.found[key] = Finding(key, value, why, sure=False)
            return value
        answer = self.ask(Question(key, value, why, tuple(options)))
        self.found[key] = Finding(key, answer, why if answer == value else "as answered")
        return answer

    def value(self, key: str, default: Any = None) -> Any:
        """The value of a key; the default where nothing was found."""
        return self.found[key].value if key in self.found else default

    def content(self) -> dict[str, Any]:
        """The job as nested keys."""
        nested: dict[str, Any] = {}
        for key, finding in self.found.items():
            *sections, last = key.split(".")
            place = nested
            for section in sections:
                place = place.setdefault(section, {})
            place[last] = finding.value
        return nested
