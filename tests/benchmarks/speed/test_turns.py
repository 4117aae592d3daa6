"""Contestants take turns, the first turn does not count, and one that fails is left out with its reason."""

from pathlib import Path

import pytest

from benchmarks.speed.turns import Contestant, contest, ratio, seconds

# writes its name into a file at every turn, prints something of its own, and answers 100, 1, 2, 3, …
PLAYER = """
import sys
for turn, _ in enumerate(sys.stdin):
    open(sys.argv[2], "a").write(sys.argv[1])
    print("something else")
    print("figure", float(turn or 100), flush=True)
"""


def test_all_take_turns_and_the_first_one_does_not_count(tmp_path: Path) -> None:
    """The median of the counted turns 1, 2, 3 is 2; nobody measures while another one does."""
    log = tmp_path / "turns"
    players = {name: Contestant(["-c", PLAYER, name, str(log)]) for name in "ab"}
    assert contest(players, 3) == {"a": 2.0, "b": 2.0}
    assert log.read_text() == "abababab"


def test_who_fails_is_left_out_with_its_reason(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The others are measured all the same."""
    players = {
        "broken": Contestant(["-c", "raise SystemExit('nothing installed here')"]),
        "whole": Contestant(["-c", PLAYER, "w", str(tmp_path / "turns")]),
    }
    assert contest(players, 3) == {"whole": 2.0}
    assert "not compared: broken failed: nothing installed here" in capfd.readouterr().err


def test_a_ratio_needs_both() -> None:
    """Of what was measured, rounded; none where one is missing."""
    assert ratio({"a": 3.0, "b": 2.0}, "a", "b") == 1.5
    assert ratio({"a": 3.0}, "a", "b") is None


def test_calls_in_this_process_are_warm_and_alternate() -> None:
    """Both are called before either is timed, and every turn has both."""
    called: list[str] = []
    found = seconds({name: lambda name=name: called.append(name) for name in "ab"}, 2)  # type: ignore[misc]
    assert called[:2] == ["a", "b"]
    turns = "".join(name for name, before in zip(called, ["", *called], strict=False) if name != before)
    assert turns == "abababab"
    assert found.keys() == {"a", "b"}
