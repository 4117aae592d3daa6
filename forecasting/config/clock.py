"""Times in a configuration: IANA time zones and cron lines."""

from __future__ import annotations

import re
from typing import Annotated, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

__all__ = ["CronLine", "TimeZone"]

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


class _CronField(NamedTuple):
    """One of the five fields: its bounds, the names of its first values, and other valid entries."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()
    other: str = ""  # a pattern

    def accepts(self, item: str) -> bool:
        """Whether an entry of a list is valid: `*`, a value, a range, each with a step; or one of the field's special
        entries."""
        found = re.fullmatch(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?", item)
        if found and all(value is None or self._holds(value) for value in found.groups()[:2]):
            return found[3] is None or int(found[3]) > 0
        return bool(self.other and re.fullmatch(self.other, item, flags=re.IGNORECASE))

    def _holds(self, value: str) -> bool:
        return value.upper() in self.names or (value.isdecimal() and self.first <= int(value) <= self.last)


_FIELDS: Final = (
    _CronField("minute", 0, 59),
    _CronField("hour", 0, 23),
    _CronField("day of month", 1, 31, other=r"\?|L"),
    _CronField("month", 1, 12, _MONTHS),
    _CronField("day of week", 0, 7, _WEEKDAYS, rf"\?|L[0-7]|(?:[0-7]|{'|'.join(_WEEKDAYS)})#[1-5]"),
)


def _cron_line(line: str) -> str:
    entries = line.split()
    if len(entries) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        raise ValueError(f"a cron line has five fields ({names}), got {line!r}")
    for field, entry in zip(_FIELDS, entries, strict=True):
        if not all(field.accepts(item) for item in entry.split(",")):
            names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
            raise ValueError(
                f"{entry!r} cannot be the {field.name} of a cron line, which is {field.first} to {field.last}{names},"
                " *, or a list, a range, or a step of these"
            )
    return line


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not an IANA time zone, such as UTC or Europe/Berlin") from None
    return name


TimeZone = Annotated[str, AfterValidator(_time_zone), Field(examples=["UTC", "Europe/Berlin"])]
CronLine = Annotated[str, AfterValidator(_cron_line), Field(examples=["5 * * * *", "0 3 * * SUN"])]
