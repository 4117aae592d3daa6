"""Faults of every kind: days until the monitor notices and until it is repaired, and false alarms of quiet years.

    python -m benchmarks.shifts --json shifts.json
    python -m benchmarks.shifts "+25 %" --horizons 24 --ingests 1 --seeds 5
    python -m benchmarks.shifts none --years 3

A simulated hourly series with a daily season and a ridge that is live: after twenty quiet days a fault comes, in the
middle of a day. Readings come `ingests` times a day; each time they are forecast and looked at by the real rules.
Retraining is another ridge, which goes live if it beats the live one on the last days. No registry and no store: the
rules are functions. `fine_while_twice` counts looks that said `fine` although the error of the last horizons, more than
three, was twice what was promised; there must be none.
"""

from __future__ import annotations

import sys
import time
from itertools import product
from typing import Any, Final

import numpy as np

from benchmarks.harness.command_line import one_of, parser, publish
from benchmarks.shifts.life import HISTORY, Life, Look
from benchmarks.shifts.world import FAULTS, NONE, readings

_QUIET: Final = 20  # days before the fault
_LATER: Final = 7  # hours after midnight at which it begins
_ALARMS: Final = ("recalibrate", "retrain", "alarm")


def live(fault: str, horizon: int, ingests: int, days: int, seed: int) -> list[Look]:
    """All looks of a life with a fault after twenty days, or with none; up to a repair, if there is one."""
    hours = HISTORY + 24 * days
    begin = HISTORY + 24 * _QUIET + _LATER
    life = Life(readings(fault, hours + horizon + 1, begin, seed), horizon, ingests)
    looks: list[Look] = []
    for hour in range(HISTORY + 24 // ingests, hours + 1, 24 // ingests):
        looks.append(life.step(hour))
        if fault != NONE and _repaired(looks[-1:], begin):
            break
    return looks


def of_fault(looks: list[Look]) -> dict[str, Any]:
    """Days from the fault to the first doubt, to the first action, and to a lasting recovery."""
    begin = HISTORY + 24 * _QUIET + _LATER
    after = [look for look in looks if look.hour > begin]
    noticed = [look for look in after if look.verdict in _ALARMS]
    doubtful = [look for look in after if look.verdict != "fine"]
    return {
        "noticed_days": _days(noticed, begin),
        "doubted_days": _days(doubtful, begin),
        "repaired_days": _days(_settled(after), begin) if noticed else None,
        "first": list(noticed[0].broken) if noticed else [],
        "fine_while_twice": sum(look.verdict == "fine" and look.live >= 2 for look in looks),
    }


def of_quiet(looks: list[Look], years: float) -> dict[str, Any]:
    """False alarms a year: stretches of looks that ask for anything; and the share of looks that were not judged."""
    alarmed = [look.verdict in _ALARMS for look in looks]
    begun = [now and not before for before, now in zip([False, *alarmed], alarmed, strict=False)]
    return {
        "false_alarms": sum(begun) / years,
        "by_rule": [list(look.broken) for look, new in zip(looks, begun, strict=True) if new],
        "not_judged": float(np.mean([look.verdict == "not judged" for look in looks])),
        "fine_while_twice": sum(look.verdict == "fine" and look.live >= 2 for look in looks),
    }


def _settled(after: list[Look]) -> list[Look]:
    """The `fine` looks after the last one with an action."""
    last = max((place for place, look in enumerate(after) if look.verdict in _ALARMS), default=-1)
    return [look for look in after[last + 1 :] if look.verdict == "fine"]


def _repaired(looks: list[Look], begin: int) -> bool:
    """Fine, with a version that was trained or calibrated after the fault."""
    return any(look.verdict == "fine" and look.version > 1 and look.hour > begin for look in looks)


def _days(looks: list[Look], begin: int) -> float | None:
    return round((looks[0].hour - begin) / 24, 2) if looks else None


def _median(values: list[float | None]) -> float | None:
    """The median, where what never came counts as the latest; none if it is one of these."""
    middle = float(np.median([np.inf if value is None else value for value in values]))
    return middle if np.isfinite(middle) else None


def _over_seeds(found: list[dict[str, Any]]) -> dict[str, Any]:
    medians = {name: _median([one[name] for one in found]) for name in found[0] if name.endswith("_days")}
    total = sum(one["fine_while_twice"] for one in found)
    return medians | {"first": sorted({rule for one in found for rule in one["first"]}), "fine_while_twice": total}


def main() -> None:
    """Live through every cell and print the figures; exit code 1 if a limit was not kept."""
    command = parser("shifts", __doc__)
    command.add_argument("faults", nargs="*", type=one_of((*FAULTS, NONE)), help="default: all, and none")
    command.add_argument("--horizons", type=int, nargs="+", default=(1, 24, 168))
    command.add_argument("--ingests", type=int, nargs="+", default=(1, 24), help="a day")
    command.add_argument("--days", type=int, default=60, help="after the fault, at most")
    command.add_argument("--seeds", type=int, default=1, help="series of each fault")
    command.add_argument("--years", type=int, default=1, help="quiet years of each horizon and number of ingests")
    options = command.parse_args()
    begun, result = time.process_time(), dict[str, Any](faults={}, quiet={})
    for fault, horizon, ingests in product(options.faults or (*FAULTS, NONE), options.horizons, options.ingests):
        name, kind = f"horizon {horizon}, {ingests} a day", "quiet" if fault == NONE else "faults"
        if fault == NONE:
            looks = [live(NONE, horizon, ingests, 365, 100 + seed) for seed in range(options.years)]
            each = [of_quiet(one, 1.0) for one in looks]
            rates = {key: float(np.mean([one[key] for one in each])) for key in ("false_alarms", "not_judged")}
            rules = [rules for one in each for rules in one["by_rule"]]
            cell = {**rates, "by_rule": rules, "fine_while_twice": sum(one["fine_while_twice"] for one in each)}
            result["quiet"][name] = cell
        else:
            seeds = range(options.seeds)
            lives = [live(fault, horizon, ingests, _QUIET + options.days, seed) for seed in seeds]
            cell = _over_seeds([of_fault(one) for one in lives])
            result["faults"].setdefault(fault, {})[name] = cell
        print(f"{kind}: {fault}, {name}: {cell}", file=sys.stderr, flush=True)
    publish(_summed(result) | {"cpu_seconds": round(time.process_time() - begun)}, options.json)
    sys.exit(1 if result["fine_while_twice"] or result.get("false_alarms_a_year", 0) > 1 else 0)


def _summed(result: dict[str, Any]) -> dict[str, Any]:
    """The figures with the two limits: looks that were wrongly fine, and false alarms a year and job."""
    cells = [cell for table in result["faults"].values() for cell in table.values()] + [*result["quiet"].values()]
    result["fine_while_twice"] = sum(cell["fine_while_twice"] for cell in cells)
    if result["quiet"]:
        result["false_alarms_a_year"] = float(np.mean([cell["false_alarms"] for cell in result["quiet"].values()]))
    return result


if __name__ == "__main__":
    main()
