"""Cron lines and time zones, against those who will read them."""

import pytest
from prefect.client.schemas.schedules import CronSchedule
from pydantic import TypeAdapter, ValidationError

from forecasting.config.clock import CronLine, TimeZone

CRON: TypeAdapter[str] = TypeAdapter(CronLine)
ZONE: TypeAdapter[str] = TypeAdapter(TimeZone)

GOOD = [
    *("* * * * *", "5 4 1 * *", "*/5 * * * *", "0 22-2 * * *", "0 0 * * 7", "0 0 * * SUN", "0 0 * JAN-MAR MON-FRI"),
    *("0 0 * * 5#2", "0 0 L * *", "0 0 * * L5", "0 0 ? * ?", "5/10 * * * *", "1,2,*/7 * * * *", "0 0 29 2 *"),
    *("1-5/2 0 * * *", "0 0 * * sun,mon", "0 0 * * MON#1", "05 04 * * *", "0 0 * * 1-5,7", "  0  0 * * *"),
]
BAD = [
    *("60 * * * *", "5 25 * * *", "0 0 0 * *", "0 0 32 * *", "0 0 * 13 *", "0 0 * * 8", "R * * * *", "H * * * *"),
    *("*/0 * * * *", "0-70 * * * *", "a * * * *", "0 0 1W * *", "* * * *", "1-3-5 * * * *", ", * * * *", "1, * * * *"),
    *("-5 * * * *", "? * * * *", "0 0 * * 5#6", "0 0 * janu *", "", "0 0 * FOO *", "0 0 MON * *", "0 0 * * JAN"),
]


@pytest.mark.parametrize("line", GOOD)
def test_lines_that_a_schedule_takes(line: str) -> None:
    """What passes here never fails at the server."""
    assert CRON.validate_python(line) == line
    CronSchedule(cron=line)


@pytest.mark.parametrize("line", BAD)
def test_lines_that_a_schedule_refuses(line: str) -> None:
    """Each is refused here as it is there, and long before."""
    with pytest.raises(ValidationError):
        CronSchedule(cron=line)
    with pytest.raises(ValidationError, match=r"of a cron line|a cron line has five fields"):
        CRON.validate_python(line)


@pytest.mark.parametrize("line", ["@daily", "* * * * * *"])
def test_only_five_fields_are_a_line(line: str) -> None:
    """Seconds and nicknames are other languages."""
    with pytest.raises(ValidationError, match="five fields"):
        CRON.validate_python(line)


def test_wrong_field_is_named_with_its_range() -> None:
    """What stands there, what it is, and what it may be."""
    with pytest.raises(ValidationError, match=r"'25' cannot be the hour of a cron line, which is 0 to 23,"):
        CRON.validate_python("5 25 * * *")
    with pytest.raises(ValidationError, match=r"'FUN' cannot be the day of week .* which is 0 to 7 or SUN to SAT,"):
        CRON.validate_python("5 2 * * FUN")


@pytest.mark.parametrize("name", ["Berlin", "Europe", "", "europe/berlin/", "../etc/passwd", "/etc/passwd"])
def test_unknown_zones_are_refused(name: str) -> None:
    """A continent, a path, nothing."""
    with pytest.raises(ValidationError, match="is not an IANA time zone, such as UTC or Europe/Berlin"):
        ZONE.validate_python(name)
    assert ZONE.validate_python("America/New_York") == "America/New_York"
