"""How long `auto` may search for a network."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from forecasting.config.chosen import AUTO, SHOWN, Chosen
from forecasting.config.section import Section

__all__ = ["BUDGETS", "Selection"]

BUDGETS: Final = {"fast": 60.0, "good": 280.0, "best": 1080.0}  # seconds of training on two cores


class Selection(Section):
    """How long the model `auto` may search: [Choosing a network](selection.md)."""

    budget: Literal["fast", "good", "best"] = "good"
    """About 1, 5 or 20 minutes on a machine with two cores. It is counted in steps, so every machine makes the same
    choice; a faster one is done earlier."""

    minutes: float | None = Field(None, gt=0)
    """Minutes of such a machine, in place of `budget`."""

    longest_context: Chosen = Field(AUTO, examples=[192], json_schema_extra=SHOWN)
    """The most steps that a member may read; `auto`: three times the context where that is `auto`, too, and at most
    512, or else the context."""
