"""Downloaded bundles: whole, those that were registered, and removed only when nobody needs them."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from forecasting.errors import ArtifactError
from forecasting.registry.registry import Registry
from tests.registry.buoy import JOB, write_bundle


def test_download_gives_the_registered_bundle_and_mends_a_damaged_cache(
    registry: Registry, register: Callable[[int], int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The cached copy is used as long as it is whole; nothing half-done stays beside it, and nothing is printed."""
    register(1)
    capfd.readouterr()
    cache = tmp_path / "cache"
    first = registry.cache.download(JOB, "challenger")
    untouched = (first / "model.onnx").stat().st_ino
    assert registry.cache.download(JOB, 1) == first == cache / JOB / "1"
    assert (first / "model.onnx").stat().st_ino == untouched

    (first / "model.onnx").write_bytes(b"damaged")
    registry.cache.download(JOB, 1)

    assert (first / "model.onnx").read_bytes() == (tmp_path / "bundle-1" / "model.onnx").read_bytes()
    assert [path.name for path in (cache / JOB).iterdir()] == ["1"]
    assert capfd.readouterr() == ("", "")


def test_download_refuses_files_that_changed_in_the_store(
    registry: Registry, register: Callable[[int], int], tmp_path: Path
) -> None:
    """A whole but exchanged bundle is not what was judged, so it is not handed out, nor cached."""
    register(1)
    stored = next((tmp_path / "artifacts").rglob("model.onnx")).parent
    shutil.rmtree(stored)
    write_bundle(stored, seed=2)

    with pytest.raises(ArtifactError, match="version 1 of buoy is not the bundle that was registered"):
        registry.cache.download(JOB, 1)
    assert list((tmp_path / "cache" / JOB).iterdir()) == []


def test_a_download_is_compared_before_anything_in_it_is_opened(
    registry: Registry, register: Callable[[int], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network for the next warm start that was exchanged, a file beside those that were registered: both refused."""
    register(1)
    stored = next((tmp_path / "artifacts").rglob("model.onnx")).parent
    for reader in ("numpy.load", "onnxruntime.InferenceSession"):
        monkeypatch.setattr(reader, lambda *_, **__: pytest.fail("it was opened"))
    (stored / "model.keras").write_bytes(b"another network")
    with pytest.raises(ArtifactError, match=r"(?s)not the bundle that was registered: .*model\.keras: not listed"):
        registry.cache.download(JOB, 1)

    manifest = json.loads((stored / "manifest.json").read_text())
    content = (stored / "model.keras").read_bytes()
    manifest["files"]["model.keras"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    (stored / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"the manifest of .* is not the registered one"):
        registry.cache.download(JOB, 1)
    assert list((tmp_path / "cache" / JOB).iterdir()) == []


def test_old_downloads_are_removed_but_for_what_somebody_needs(
    registry: Registry, register: Callable[[int], int], tmp_path: Path
) -> None:
    """Aliases, what is to be kept, and what was just handed out stay; another job's folder is not touched."""
    cache = tmp_path / "cache"
    for seed in range(1, 7):
        register(seed)
        registry.cache.download(JOB, seed)
        os.utime(cache / JOB / str(seed), (1e9, 1e9))
    registry.aliases.promote(JOB, 1)
    registry.aliases.promote(JOB, 2)  # 1 is @previous, 6 is @challenger
    shutil.copytree(cache / JOB / "3", cache / "other" / "3")
    os.utime(cache / "other" / "3", (1e9, 1e9))
    (cache / JOB / ".5-scratch").mkdir()  # a download of another process
    registry.cache.download(JOB, 5)

    registry.cache.prune(JOB, {4})

    assert sorted(path.name for path in (cache / JOB).iterdir()) == [".5-scratch", "1", "2", "4", "5", "6"]
    assert [path.name for path in (cache / "other").iterdir()] == ["3"]


def test_two_processes_may_tidy_the_same_cache(
    registry: Registry, register: Callable[[int], int], tmp_path: Path
) -> None:
    """Whoever comes second finds nothing to do; nothing half-removed is left."""
    cache = tmp_path / "cache"
    register(1)
    registry.aliases.promote(JOB, 1)
    register(2)
    template = registry.cache.download(JOB, 1)
    for version in range(10, 60):
        shutil.copytree(template, cache / JOB / str(version))
        os.utime(cache / JOB / str(version), (1e9, 1e9))
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(registry.cache.prune, JOB, ()) for _ in range(4)]:
            done.result()
    assert [path.name for path in (cache / JOB).iterdir()] == ["1"]
