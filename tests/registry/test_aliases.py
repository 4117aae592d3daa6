"""Promotions and rollbacks against a real MLflow database, and what a kill between two writes leaves behind."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from forecasting.errors import LockedError, RefusedVersionError, RegistryError
from forecasting.registry.aliases import Cause
from forecasting.registry.registry import Registry
from tests.registry.buoy import JOB, aliases, write_bundle
from tests.registry.kills import Killed, kill_at


def test_promotion_moves_champion_and_previous(registry: Registry, register: Callable[[int], int]) -> None:
    """The old champion becomes previous, the promoted one is challenger no more; repeating changes nothing."""
    for seed in (1, 2, 3):
        register(seed)
    assert registry.versions.champion(JOB) is None
    registry.aliases.promote(JOB, 1)
    assert aliases(registry) == {"champion": 1, "challenger": 3}

    registry.aliases.promote(JOB, 3)
    registry.aliases.promote(JOB, 3)

    champion = registry.versions.champion(JOB)
    assert champion is not None
    assert champion.version == 3
    assert aliases(registry) == {"champion": 3, "previous": 1}


def test_a_refused_version_goes_live_by_force_and_with_a_reason_only(registry: Registry, tmp_path: Path) -> None:
    """Without both nothing moves; with both the audit says who, from where, what, and why."""
    for key, verdict in (("1", "passed"), ("2", "refused")):
        run = registry.runs.start(JOB, key, {})
        bundle = write_bundle(tmp_path / key, seed=int(key))
        registry.versions.register(JOB, run.run_id, bundle, verdict=verdict, metrics={})
    registry.aliases.promote(JOB, 1, cause=Cause("first"))
    for cause in (None, Cause(force=True), Cause("better"), Cause(" ", force=True)):
        with pytest.raises(RefusedVersionError, match="the gate refused version 2 of buoy"):
            registry.aliases.promote(JOB, 2, cause=cause)
    assert aliases(registry)["champion"] == 1

    registry.aliases.promote(JOB, 2, cause=Cause("the sensor was new", by="key ops", address="10.0.0.7", force=True))
    registry.aliases.rollback(JOB, cause=Cause("it was not"))

    newest, forced, first = registry.aliases.history(JOB)
    assert {name: forced[name] for name in ("what", "version", "before", "by", "from", "why")} == {
        "what": "promote, forced",
        "version": 2,
        "before": 1,
        "by": "key ops",
        "from": "10.0.0.7",
        "why": "the sensor was new",
    }
    assert (newest["what"], newest["version"], newest["before"], newest["why"]) == ("rollback", 1, 2, "it was not")
    assert (first["version"], first["before"]) == (1, None)
    assert first["by"]
    assert newest["at"] > forced["at"] > first["at"]


def test_rollback_swaps_and_swaps_back(registry: Registry, register: Callable[[int], int]) -> None:
    """One call brings the previous champion back, a second one undoes that; without a previous it is refused."""
    for seed in (1, 2):
        register(seed)
    registry.aliases.promote(JOB, 1)
    with pytest.raises(RegistryError, match="buoy has no previous champion to roll back to"):
        registry.aliases.rollback(JOB)
    registry.aliases.promote(JOB, 2)

    assert registry.aliases.rollback(JOB) == 1
    assert aliases(registry) == {"champion": 1, "previous": 2}
    assert registry.aliases.rollback(JOB) == 2
    assert aliases(registry) == {"champion": 2, "previous": 1}


@pytest.mark.parametrize("moment", range(5))
def test_promotion_killed_at_any_write_ends_right_when_repeated(
    registry: Registry, register: Callable[[int], int], monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Wherever it dies, there is a champion all the time, and the repeated call ends like an undisturbed one."""
    for seed in (1, 2, 3):
        register(seed)
    registry.aliases.promote(JOB, 1)
    registry.aliases.promote(JOB, 2)
    with monkeypatch.context() as patch:
        kill_at(patch, registry, moment)
        with pytest.raises(Killed):
            registry.aliases.promote(JOB, 3)
    assert aliases(registry)["champion"] in (2, 3)

    registry.aliases.promote(JOB, 3)

    assert aliases(registry) == {"champion": 3, "previous": 2}


@pytest.mark.parametrize("moment", range(4))
def test_rollback_killed_at_any_write_ends_right_when_repeated(
    registry: Registry, register: Callable[[int], int], monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """A swap that was begun is ended, not begun anew."""
    for seed in (1, 2):
        register(seed)
        registry.aliases.promote(JOB, seed)
    with monkeypatch.context() as patch:
        kill_at(patch, registry, moment)
        with pytest.raises(Killed):
            registry.aliases.rollback(JOB)

    assert registry.aliases.rollback(JOB) == 1
    assert aliases(registry) == {"champion": 1, "previous": 2}


def test_promotion_begun_and_killed_does_not_swallow_a_rollback(
    registry: Registry, register: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback after a half-done promotion first ends it, then undoes it."""
    for seed in (1, 2):
        register(seed)
    registry.aliases.promote(JOB, 1)
    with monkeypatch.context() as patch:
        kill_at(patch, registry, 1)
        with pytest.raises(Killed):
            registry.aliases.promote(JOB, 2)

    assert registry.aliases.rollback(JOB) == 1
    assert aliases(registry) == {"champion": 1, "previous": 2}


def test_promotion_lock_keeps_other_processes_out(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one process judges and promotes, another waits; the holder itself may promote."""
    code = (
        "import sys, pathlib, filelock\n"
        "lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); sys.stdin.read()"
    )
    monkeypatch.setattr("forecasting.runtime.locks._PATIENCE", 0.2)
    path = registry.versions.locks / f"promotion-{JOB}.lock"
    path.parent.mkdir()
    with subprocess.Popen([sys.executable, "-c", code, path], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(RegistryError, match="another process has held the promotion lock of buoy"),
            registry.aliases.lock(JOB),
        ):
            pass
    with registry.aliases.lock(JOB), registry.aliases.lock(JOB):
        pass


def test_who_has_no_patience_leaves_the_aliases_alone(registry: Registry, register: Callable[[int], int]) -> None:
    """While another thread holds the lock nothing moves, neither then nor later."""
    for seed in (1, 2):
        register(seed)
    registry.aliases.promote(JOB, 1)
    with registry.aliases.lock(JOB), ThreadPoolExecutor(1) as other:
        for order in (
            lambda: registry.aliases.promote(JOB, 2, patience=0.2),
            lambda: registry.aliases.rollback(JOB, patience=0.2),
        ):
            with pytest.raises(LockedError, match="promotion lock"):
                other.submit(order).result()
    assert aliases(registry) == {"champion": 1, "challenger": 2}
