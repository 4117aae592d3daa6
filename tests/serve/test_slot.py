"""One served model: what may take its place, what must not, and what is left when the registry is gone."""

import dataclasses
import gc
import json
import os
import shutil
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from forecasting.bundle.artifact import Manifest, _measure, checksum, open_bundle
from forecasting.config.settings import ServeSettings
from forecasting.errors import ArtifactError, RegistryError, UnknownVersionError
from forecasting.registry.client import connect
from forecasting.registry.registry import Registry
from forecasting.serve.answering import Machinery
from forecasting.serve.offload import Offload
from forecasting.serve.slot import Place, Slot

NAME = "buoy"
TRIED: set[str] = set()  # of all tests: a trial takes seconds


@pytest.fixture
def place(copied: Path, stocked: Path) -> Iterator[Place]:
    """The shared part of all slots on a home of this test alone, without a cache."""
    shutil.rmtree(copied / "cache")
    shutil.rmtree(copied / "serve")
    with closing(
        sqlite3.connect(copied / "mlflow.db")
    ) as database:  # it knows where the files were, not where they are
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            database.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",
                (stocked.as_uri(), copied.as_uri()),
            )
        database.commit()
    registry = Registry(f"sqlite:///{copied / 'mlflow.db'}", copied)
    with ThreadPoolExecutor(1) as executor:
        machinery = Machinery(ServeSettings(), executor, Offload(1), lambda requests, windows: None)
        yield Place(registry, copied / "serve", machinery, TRIED)


def slot_of(place: Place, wanted: str = "") -> Slot:
    """A slot of `buoy`."""
    return Slot(NAME, wanted, place)


def unreachable(place: Place) -> Place:
    """The same place, but nothing listens where the registry should be."""
    return dataclasses.replace(place, registry=Registry("http://127.0.0.1:9", place.registry.cache.folder.parent))


def stored(place: Place, version: int) -> Path:
    """Where the registry keeps the bundle of a version."""
    found = place.registry.versions.get(NAME, version)
    return next(place.registry.runs.artifacts.glob(f"{NAME}/{found.run_id}/artifacts/model-*/artifacts/bundle"))


def replaced(place: Place, version: int, change: Callable[[Path], None]) -> None:
    """Change the registered bundle so that all its checksums are right again."""
    bundle = stored(place, version)
    change(bundle)
    manifest = Manifest.model_validate_json((bundle / "manifest.json").read_bytes())
    names = [path.name for path in bundle.iterdir() if path.name != "manifest.json"]
    manifest = manifest.model_copy(update={"files": {name: _measure((bundle / name).read_bytes()) for name in names}})
    (bundle / "manifest.json").write_text(manifest.model_dump_json(), encoding="utf-8")
    with connect(place.registry.versions.tracking_uri) as client:
        client.set_model_version_tag(NAME, str(version), "gatecast.manifest", checksum(bundle))


def corrupt(place: Place) -> None:
    """One byte of the graph is another."""
    path = stored(place, 2) / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncated(place: Place) -> None:
    """The second half of the graph is missing."""
    path = stored(place, 2) / "model.onnx"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def incomplete(place: Place) -> None:
    """A file is missing."""
    (stored(place, 2) / "golden.npz").unlink()


def no_graph(place: Place) -> None:
    """The graph is something else."""
    replaced(place, 2, lambda bundle: (bundle / "model.onnx").write_bytes(b"MZ" * 500) and None)


def wrong_shape(place: Place) -> None:
    """The specification promises another horizon than the graph gives."""
    replaced(place, 2, lambda bundle: _specify(bundle, "horizon"))


def wrong_context(place: Place) -> None:
    """The specification gives the graph a longer history than it reads."""
    replaced(place, 2, lambda bundle: _specify(bundle, "context"))


def _specify(bundle: Path, name: str) -> None:
    spec = json.loads((bundle / "spec.json").read_text())
    (bundle / "spec.json").write_text(json.dumps(spec | {name: spec[name] + 1}), encoding="utf-8")


def not_finite(place: Place) -> None:
    """The golden forecast is no number, and that is what comes out."""

    def change(bundle: Path) -> None:
        with np.load(bundle / "golden.npz") as golden:
            arrays = {name: np.full_like(golden[name], np.nan) for name in golden.files}
        np.savez(bundle / "golden.npz", **arrays)

    replaced(place, 2, change)


def foreign_golden(place: Place) -> None:
    """The golden forecast is that of another model."""

    def change(bundle: Path) -> None:
        with np.load(bundle / "golden.npz") as golden:
            arrays = {name: golden[name] + (name == "expected") for name in golden.files}
        np.savez(bundle / "golden.npz", **arrays)

    replaced(place, 2, change)


def packed(place: Place) -> None:
    """The golden forecast is an archive that unpacks to a hundred times its size."""

    def change(bundle: Path) -> None:
        with np.load(bundle / "golden.npz") as golden:
            arrays = {name: golden[name] for name in golden.files}
        np.savez_compressed(bundle / "golden.npz", **arrays, zeros=np.zeros(10_000_000))

    replaced(place, 2, change)


def endless(place: Place) -> None:
    """The graph holds a loop that ends in a few thousand years."""
    replaced(place, 2, lambda bundle: _graph(bundle, _loop))


def enormous(place: Place) -> None:
    """The graph asks for more memory than any machine has."""
    replaced(place, 2, lambda bundle: _graph(bundle, _block))


def _graph(bundle: Path, change: Callable[[onnx.GraphProto, str], list[onnx.NodeProto]]) -> None:
    """The output of the graph runs through other nodes."""
    model = onnx.load_from_string((bundle / "model.onnx").read_bytes())
    name = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["before" if output == name else output for output in node.output]
    model.graph.node.extend(change(model.graph, name))
    (bundle / "model.onnx").write_bytes(model.SerializeToString())


def _loop(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    value = helper.make_tensor_value_info
    kind = onnx.TensorProto
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Mul", ["in", "in"], ["out"])],
        "body",
        [value("i", kind.INT64, []), value("go", kind.BOOL, []), value("in", kind.FLOAT, None)],
        [value("on", kind.BOOL, []), value("out", kind.FLOAT, None)],
    )
    graph.initializer.append(helper.make_tensor("times", kind.INT64, [], [2**62]))
    graph.initializer.append(helper.make_tensor("yes", kind.BOOL, [], [True]))
    return [helper.make_node("Loop", ["times", "yes", "before"], [name], body=body)]


def _block(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    graph.initializer.append(helper.make_tensor("shape", onnx.TensorProto.INT64, [1], [2**38]))
    zeros = helper.make_node("ConstantOfShape", ["shape"], ["zeros"])
    total = helper.make_node("ReduceSum", ["zeros"], ["total"], keepdims=0)
    return [zeros, total, helper.make_node("Add", ["before", "total"], [name])]


def _said(**changes: Any) -> Callable[[Place], None]:
    """A specification that says something else."""

    def change(bundle: Path) -> None:
        spec = json.loads((bundle / "spec.json").read_text())
        table = {name: value for name, value in changes.items() if name in spec["table"]}
        features = {name: value for name, value in changes.items() if name in spec["features"]}
        others = {name: value for name, value in changes.items() if name not in {*table, *features}}
        spec |= {**others, "table": spec["table"] | table, "features": spec["features"] | features}
        (bundle / "spec.json").write_text(json.dumps(spec), encoding="utf-8")

    return lambda place: replaced(place, 2, change)


def deep(place: Place) -> None:
    """Most of it lies in a folder of its own."""
    folder = stored(place, 2) / "more"
    folder.mkdir()
    with (folder / "large").open("wb") as file:
        file.truncate(201_000_000)


def oversized(place: Place) -> None:
    """It is larger than allowed, of which most is not needed."""
    replaced(place, 2, lambda bundle: (bundle / "model.keras").write_bytes(bytes(201_000_000)) and None)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (corrupt, "checksum"),
        (truncated, "not [0-9]+ bytes long"),
        (incomplete, "golden.npz: missing"),
        (no_graph, "cannot be opened"),
        (wrong_shape, "the shapes of its graph differ"),
        (wrong_context, "the shapes of its graph differ"),
        (not_finite, "off by nan"),
        (foreign_golden, "does not reproduce its golden forecast"),
        (oversized, "201 MB, 200 are allowed"),
        (deep, "201 MB, 200 are allowed"),
        (packed, "unpacks to more than its"),
        (enormous, "cannot be used|do not fit"),
        (_said(horizon=10**12), "horizon"),
        (_said(context=10**12), "context"),
        (_said(paths=10**12), "paths"),
        (_said(freq="h;rm"), "is not a frequency"),
        (_said(time_zone="Mars/Base"), "cannot forecast a plain history"),
        (_said(calendar=["hour", "phase_of_the_moon"]), "calendar"),
        (_said(lower=5.0, upper=1.0), "lower"),
    ],
)
def test_a_version_that_must_not_answer_is_refused(place: Place, damage: Callable[[Place], None], reason: str) -> None:
    """The old one stays, the refusal is visible and names no path; whatever it takes, it takes in another process."""
    slot = slot_of(place)
    assert slot.refresh()
    before = slot.current
    damage(place)
    place.registry.aliases.promote(NAME, 2)
    with pytest.raises(ArtifactError, match=reason):
        slot.refresh()
    assert slot.current is before
    assert slot.refusal is not None
    assert slot.refusal.startswith("version 2: ")
    assert str(place.registry.cache.folder) not in slot.refusal
    assert not slot.refresh()


def test_a_graph_without_an_end_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the time of a trial; other models are followed meanwhile by a watch that is not held up for ever."""
    monkeypatch.setattr("forecasting.serve.trial._SECONDS", 15)
    endless(place)
    with pytest.raises(ArtifactError, match="more than 15 s"):
        slot_of(place, "2").refresh()


def test_a_refusal_holds_until_another_version_is_named(place: Place) -> None:
    """Over a restart, too: nothing is tried again and again, but for a reload."""
    slot = slot_of(place)
    slot.refresh()
    not_finite(place)
    place.registry.aliases.promote(NAME, 2)
    with pytest.raises(ArtifactError):
        slot.refresh()
    after_a_start = slot_of(place)
    assert after_a_start.refusal == slot.refusal
    assert not after_a_start.refresh()
    with pytest.raises(ArtifactError):
        slot.refresh(again=True)
    place.registry.aliases.rollback(NAME)
    assert not slot.refresh()
    assert slot.refusal is None
    assert slot_of(place).refusal is None
    assert json.loads((place.notes / "buoy@champion.json").read_text())["version"] == 1


def test_a_version_that_ends_the_service_is_refused_in_the_end(place: Place) -> None:
    """It is written down before it is tried: twice is enough, then the others are served, and a reload is obeyed."""
    slot = slot_of(place)
    slot.refresh()
    place.registry.aliases.promote(NAME, 2)
    version = place.registry.versions.get(NAME, 2)
    trial = {"version": 2, "manifest": version.manifest, "tries": 2}
    (place.notes / "buoy@champion.trial").write_text(json.dumps(trial), encoding="utf-8")
    with pytest.raises(ArtifactError, match="the service ended 2 times while it tried this version"):
        slot_of(place).refresh()
    again = slot_of(place)
    assert again.restore()
    assert not again.refresh()
    assert again.refusal is not None
    assert again.refresh(again=True)
    assert again.current is not None
    assert again.current.version == 2
    assert not (place.notes / "buoy@champion.trial").exists()


def test_what_is_tried_is_written_down_before(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is killed meanwhile finds the note when it starts again."""

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("forecasting.serve.trial.call", killed)
    place = dataclasses.replace(place, tried=set())
    for tries in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            slot_of(place).refresh()
        assert json.loads((place.notes / "buoy@champion.trial").read_text())["tries"] == tries
    with pytest.raises(ArtifactError, match="ended 2 times"):
        slot_of(place).refresh()


def test_downloads_that_were_killed_are_swept(place: Place) -> None:
    """Once they are old: a younger one may be under way beside this process."""
    folder = place.registry.cache.folder / NAME
    old, young = folder / ".1-killed", folder / ".2-running"
    for place_of in (old, young):
        (place_of / "1").mkdir(parents=True)
        (place_of / "1" / "model.onnx").write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    place.registry.cache.sweep()
    assert [path.name for path in folder.iterdir()] == [".2-running"]


def test_the_better_one_takes_its_place(place: Place) -> None:
    """Both versions go on answering for those who hold them; the old one is forgotten when nobody does."""
    slot = slot_of(place)
    slot.refresh()
    old = slot.current
    place.registry.aliases.promote(NAME, 2)
    assert slot.refresh()
    assert slot.current is not None
    assert old is not None
    assert (old.version, slot.current.version) == (1, 2)
    assert old.manifest != slot.current.manifest
    watched = weakref.ref(old.forecaster.bundle.predictor)
    del old
    gc.collect()
    assert watched() is None


def test_a_fixed_version_stays(place: Place) -> None:
    """Wherever the champion is."""
    pinned = slot_of(place, "2")
    assert pinned.refresh()
    place.registry.aliases.promote(NAME, 2)
    place.registry.aliases.rollback(NAME)
    assert not pinned.refresh()
    assert pinned.current is not None
    assert pinned.current.version == 2


def test_without_the_registry_the_last_one_answers(place: Place) -> None:
    """From the cache, after a start and while running; when the registry is back, so is what it names."""
    running = slot_of(place)
    running.refresh()
    alone = slot_of(unreachable(place))
    assert alone.restore()
    assert alone.current is not None
    assert alone.current.version == 1
    before = alone.current
    with pytest.raises(RegistryError):
        alone.refresh()
    assert alone.current is before


def test_nothing_is_restored_but_what_the_note_names(place: Place) -> None:
    """Not another bundle in its folder, not a damaged one, and not from a note that cannot be read."""
    slot_of(place).refresh()
    note, folder = place.notes / "buoy@champion.json", place.registry.cache.path(NAME, 1)
    other = place.registry.cache.download(NAME, 2)
    shutil.rmtree(folder)
    assert not slot_of(place).restore()
    shutil.copytree(other, folder)
    open_bundle(folder)
    assert not slot_of(place).restore()
    for text in ("", "[]", "{}", '{"version": "../2", "manifest": ""}', '{"version": 1, "manifest": null}'):
        note.write_text(text, encoding="utf-8")
        assert not slot_of(place).restore()


def test_a_registry_that_keeps_no_bundle_is_asked_again(place: Place) -> None:
    """What may be there a moment later is no fault of the version; no address is told."""
    slot, kept = slot_of(place), stored(place, 1)
    hidden = kept.rename(kept.with_name("hidden"))
    with pytest.raises(RegistryError):
        slot.refresh()
    assert slot.refusal == "version 1: the registry does not give its bundle"
    hidden.rename(kept)
    assert slot.refresh()


def test_a_name_without_a_champion_says_so(place: Place) -> None:
    """And goes live once there is one."""
    slot = slot_of(place, "previous")
    with pytest.raises(UnknownVersionError):
        slot.refresh()
    assert slot.refusal is not None
    assert "previous" in slot.refusal
    place.registry.aliases.promote(NAME, 2)
    assert slot.refresh()
    assert slot.refusal is None


def test_processes_share_one_cache(place: Place) -> None:
    """All download at once, none takes away what another has just opened, and all get the same."""
    slots = [slot_of(place) for _ in range(6)]
    failed: list[Any] = []

    def refresh(slot: Slot) -> None:
        try:
            slot.refresh()
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            failed.append(error)

    threads = [threading.Thread(target=refresh, args=(slot,)) for slot in slots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert {slot.current.version for slot in slots if slot.current} == {1}
    assert sorted(path.name for path in (place.registry.cache.folder / NAME).iterdir()) == ["1"]
    assert [path.suffix for path in place.notes.iterdir()] == [".json"]


def test_what_answered_last_anywhere_stays_in_the_cache(
    place: Place, register: Callable[..., int], write_bundle: Callable[..., Path]
) -> None:
    """The champion, the one before, and what a process beside this one has pinned; others go when they are old."""
    home = place.registry.cache.folder.parent
    for seed in (3, 4, 5):
        register(home, NAME, write_bundle(home / f"made-{seed}", seed=seed), f"key{seed}")
    pinned, slot = slot_of(place, "1"), slot_of(place)
    pinned.refresh()
    for version in (2, 3, 4):
        place.registry.aliases.promote(NAME, version)
        for folder in (place.registry.cache.folder / NAME).iterdir():
            os.utime(folder, (1e9, 1e9))
        slot.refresh()
    assert sorted(path.name for path in (place.registry.cache.folder / NAME).iterdir()) == ["1", "3", "4"]
    assert slot_of(place, "1").restore()
    assert slot_of(place).restore()
