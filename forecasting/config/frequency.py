"""The frequencies of series: a grammar of the pandas offsets that the code can put on a grid, without pandas."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

__all__ = ["ALIASES", "MONTHS", "Frequency", "begins_a_step", "ends_of_steps"]

_TICKS: Final = ("h", "min", "s", "ms", "us")
_WEEKDAYS: Final = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_OF_MONTHS: Final = ("MS", "ME", "BMS", "BME", "SMS", "SME")
_OF_YEARS: Final = ("QS", "QE", "BQS", "BQE", "YS", "YE", "BYS", "BYE")

# every alias, without a number before it
ALIASES: Final = (
    *_TICKS,
    *("D", "B", "W"),
    *(f"W-{day}" for day in _WEEKDAYS),
    *_OF_MONTHS,
    *_OF_YEARS,
    *(f"{alias}-{month}" for alias in _OF_YEARS for month in MONTHS),
)

_COUNT = r"(?:[1-9]\d*)?"
_PATTERN: Final = (
    rf"^(?:(?:{_COUNT}(?:{'|'.join(_TICKS)}))+"  # hours and shorter may stand one after the other: 1h30min
    rf"|{_COUNT}(?:D|B|W(?:-(?:{'|'.join(_WEEKDAYS)}))?|{'|'.join(_OF_MONTHS)}"
    rf"|(?:{'|'.join(_OF_YEARS)})(?:-(?:{'|'.join(MONTHS)}))?))$"
)

_EXAMPLES: Final = ("5min", "h", "D", "B", "W-SUN", "MS", "ME", "QS")

# common spellings, and the aliases they stand for
_MEANT: Final = {
    **dict.fromkeys(("hour", "hours", "hourly", "hr"), ("h",)),
    **dict.fromkeys(("minute", "minutes", "minutely", "mins", "t"), ("min",)),
    **dict.fromkeys(("second", "seconds", "sec", "secs"), ("s",)),
    **dict.fromkeys(("millisecond", "milliseconds", "l"), ("ms",)),
    **dict.fromkeys(("microsecond", "microseconds", "u"), ("us",)),
    **dict.fromkeys(("day", "days", "daily"), ("D",)),
    **dict.fromkeys(("business", "weekday", "weekdays", "workday", "workdays", "c"), ("B",)),
    **dict.fromkeys(("week", "weeks", "weekly"), ("W",)),
    **dict.fromkeys(("month", "months", "monthly"), ("MS", "ME")),
    "m": ("min", "MS", "ME"),
    **dict.fromkeys(("quarter", "quarters", "quarterly", "q"), ("QS", "QE")),
    **dict.fromkeys(("year", "years", "yearly", "annual", "annually", "y", "a"), ("YS", "YE")),
    **{alias.lower(): (alias,) for alias in ALIASES},
}


_CLOSED: Final = "use h, with window.min_observed and series.max_gap for closed hours"


_BEGINS: Final = re.compile(r"(\d*(?:SM|B?[MQY]))S(?:-(\w+))?")  # frequencies whose stamps begin a step


def begins_a_step(freq: str) -> bool:
    """Whether a stamp is the first day of its step: `MS` is one of January 1, where `ME` is one of January 31."""
    return _BEGINS.fullmatch(freq) is not None


def ends_of_steps(freq: str) -> str:
    """The frequency of the same steps whose stamps end them: `ME` for `MS`, `QE-JAN` for `QS-FEB`."""
    begins = _BEGINS.fullmatch(freq)
    if begins is None:
        return freq
    return f"{begins[1]}E" + (f"-{MONTHS[MONTHS.index(begins[2]) - 1]}" if begins[2] else "")


def _known(freq: str) -> str:
    if re.fullmatch(r"\d*c?bh", freq.lower()):
        raise ValueError(f"{freq!r}, business hours, is not a frequency here: {_CLOSED}")
    if not re.fullmatch(_PATTERN, freq):
        raise ValueError(f"{freq!r} is not a frequency{_near(freq)}; examples: {', '.join(_EXAMPLES)}")
    return freq


def _near(freq: str) -> str:
    """` (did you mean 15min?)` where a word is near; its number is kept."""
    found = re.fullmatch(r"[+-]?\s*0*(\d*)\s*(\D*)", freq.strip())
    close = difflib.get_close_matches(found[2].lower(), _MEANT, n=1) if found else []
    if not found or not close:
        return ""
    return f" (did you mean {' or '.join(found[1] + alias for alias in _MEANT[close[0]])}?)"


Frequency = Annotated[
    str,
    AfterValidator(_known),
    Field(json_schema_extra={"pattern": _PATTERN}, examples=list(_EXAMPLES)),
]
