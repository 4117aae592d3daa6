"""The paths of a home: all of them in it, no two the same, none made by naming it."""

import inspect
from pathlib import Path

from forecasting.runtime.workspace import Workspace


def paths(home: Path, job: str = "j", key: str = "a" * 64) -> dict[str, Path]:
    """Every path that a workspace names, of one job and one run."""
    place, found = Workspace(home), {}
    given = {"job": job, "key": key, "run_id": key}
    for name, member in inspect.getmembers(Workspace):
        if isinstance(member, property):
            found[name] = getattr(place, name)
        elif inspect.isfunction(member) and not name.startswith("_"):
            wanted = [parameter for parameter in inspect.signature(member).parameters if parameter != "self"]
            found[name] = member(place, *(given[parameter] for parameter in wanted))
    return found


def test_everything_lies_in_the_home_under_a_name_of_its_own(tmp_path: Path) -> None:
    """Nothing outside, nothing twice, and nothing is made."""
    found = paths(tmp_path)
    assert len(found) >= 16
    assert all(path.is_relative_to(tmp_path) and path != tmp_path for path in found.values())
    assert len(set(found.values())) == len(found)
    assert list(tmp_path.iterdir()) == []


def test_jobs_share_no_folder(tmp_path: Path) -> None:
    """What belongs to a job moves with its name, the rest belongs to all."""
    one, other = paths(tmp_path, "one"), paths(tmp_path, "other")
    shared = {name for name in one if one[name] == other[name]}
    assert shared == {"database", "artifacts", "locks", "cache", "served"}


def test_same_content_has_the_same_folder(tmp_path: Path) -> None:
    """A killed run finds what it had done; another key, another folder."""
    place = Workspace(tmp_path)
    assert place.run("j", "a" * 64) == Workspace(tmp_path).run("j", "a" * 64)
    assert place.run("j", "a" * 64) != place.run("j", "b" * 64)


def test_homes_of_before_are_still_read(tmp_path: Path) -> None:
    """Tables, registry and bundles are where earlier releases have put them."""
    place = Workspace(tmp_path)
    assert place.database == tmp_path / "mlflow.db"
    assert place.artifacts == tmp_path / "artifacts"
    assert place.observations("j") == tmp_path / "tables" / "j" / "observations"
    assert place.forecasts("j") == tmp_path / "tables" / "j" / "forecasts"
    assert place.report("j", "1") == tmp_path / "reports" / "j" / "1.html"
