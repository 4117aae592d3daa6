"""Tables whose log is damaged: one sentence, no foreign backtrace, and no older version in place of the newest."""

from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from forecasting.errors import StorageError
from forecasting.storage.store import Store
from tests.storage.rows import table


def commits(home: Path) -> list[Path]:
    """The commits of the readings, oldest first."""
    return sorted((home / "tables" / "j" / "observations" / "_delta_log").glob("*.json"))


def broken(path: Path) -> None:
    """It is no JSON any more."""
    path.write_bytes(path.read_bytes()[:20])


def emptied(path: Path) -> None:
    """What a power cut leaves."""
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [broken, emptied])
def test_a_damaged_log_is_one_sentence(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Whoever reads or writes learns which table it is and what to do; nothing is written over it."""
    store = Store(tmp_path)
    for day in (1, 2):
        store.observations.merge("j", table([1.0, 2.0], start=f"2024-01-0{day}"))
    damage(commits(tmp_path)[-1])
    uses: list[Callable[[], object]] = [
        lambda: store.observations.read("j"),
        lambda: store.observations.series("j"),
        lambda: store.observations.version("j"),
        lambda: store.observations.merge("j", table([1.0], start="2025-01-01")),
        lambda: store.compact("j"),
    ]
    for use in uses:
        with pytest.raises(StorageError) as refused:
            use()
        assert "observations is damaged" in str(refused.value)
        assert "restore it from a backup" in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1
    assert len(commits(tmp_path)) == 2


def test_an_empty_commit_would_have_lost_rows(tmp_path: Path) -> None:
    """What the library itself says of such a table: it takes it for one with fewer rows."""
    store = Store(tmp_path)
    for day in (1, 2):
        store.observations.merge("j", table([1.0, 2.0], start=f"2024-01-0{day}"))
    emptied(commits(tmp_path)[-1])
    assert DeltaTable(str(tmp_path / "tables" / "j" / "observations")).to_pyarrow_table().num_rows < 4
