"""Commands of the registry: who is live, and moving that by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.tiny import Answer


def test_promote_and_roll_back_by_hand(gatecast_here: Callable[..., Answer], finished: Any, place: Path) -> None:
    """The refused network goes live by force, with a reason, and back; the list says who is who."""
    live = finished.outcome["champion"]
    other = 3 - live
    refused = gatecast_here("promote", "tiny", other)
    assert (refused.code, refused.out) == (1, "")
    assert f"gatecast promote tiny {other} --force --why REASON" in refused.err
    forced = ("promote", "tiny", other, "--force", "--why", "a trial")
    assert gatecast_here(*forced) == (0, f"tiny: version {other} is the champion\n", "")
    newest, *_ = json.loads(gatecast_here("models", "tiny", "--history", "--json").out)["tiny"]
    assert (newest["what"], newest["version"], newest["why"]) == ("promote, forced", other, "a trial")
    listed = {row["version"]: row for row in json.loads(gatecast_here("models", "tiny", "--json").out)["tiny"]}
    assert {version: row["aliases"] for version, row in listed.items()} == {live: "previous", other: "champion"}
    assert gatecast_here("rollback", "tiny") == (0, f"tiny: version {live} is the champion\n", "")
    assert json.loads(gatecast_here("models", "--json").out).keys() == {"tiny"}
    shown = gatecast_here("models", "tiny").out
    assert "champion" in shown
    assert "stacked" in shown
    for arguments in (["promote", "tiny", 9], ["promote", "tinny", 1], ["rollback", "tinny"], ["models", "tinny"]):
        answer = gatecast_here(*arguments)
        assert (answer.code, answer.out) == (1, "")
        assert "Traceback" not in answer.err
