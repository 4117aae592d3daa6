"""A bundle is whole or refused: every damage is found, nothing in it is executed, writing is atomic."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from forecasting.bundle.artifact import Bundle, Origin, check_files, checksum, open_bundle, read_graphs, write
from forecasting.bundle.engine import Graphs
from forecasting.bundle.spec import Spec
from forecasting.errors import ArtifactError

FILES = ("spec.json", "model.onnx", "conformal.npz", "golden.npz")
Fitted = Any  # the fixture of that name


@pytest.fixture
def bundle(fitted: Fitted, tmp_path: Path) -> Path:
    """A directory that holds a whole bundle."""
    return Path(shutil.copytree(fitted.bundle, tmp_path / "bundle"))


def rewrite(bundle: Bundle, directory: Path, **changes: Any) -> Path:
    """The same bundle written again, with other parts."""
    with np.load(bundle.path / "golden.npz") as arrays:
        golden = {name: arrays[name] for name in arrays.files if name != "expected"}
    parts = {"graphs": read_graphs(bundle.path), "calibration": bundle.calibration, "golden": golden}
    return write(directory, bundle.spec, **{**parts, "origin": bundle.manifest.origin, **changes})


def vouch(directory: Path, **changes: Any) -> None:
    """Make the manifest agree with the files as they are now, as someone would who wants to hide a change."""
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in manifest["files"]:
        content = (directory / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    path.write_text(json.dumps(manifest | changes))


def test_what_is_written_comes_back(bundle: Path, tmp_path: Path) -> None:
    """Spec, calibration, weights and origin; sizes and checksums are those of the files; nothing else is left."""
    first = open_bundle(bundle)
    kept = tmp_path / "model.keras"
    kept.write_bytes(b"only kept")
    again = open_bundle(rewrite(first, tmp_path / "new", weights_file=kept))
    assert again.spec == first.spec
    assert again.calibration.quantiles == first.calibration.quantiles
    assert np.array_equal(again.calibration.residuals, first.calibration.residuals, equal_nan=True)
    assert again.manifest.origin == Origin(seed=3, git_commit="abc")
    assert again.manifest.weights == hashlib.sha256((bundle / "model.onnx").read_bytes()).hexdigest()
    assert sorted(again.manifest.files) == sorted([*FILES, "model.keras"])
    for name, file in again.manifest.files.items():
        content = (tmp_path / "new" / name).read_bytes()
        assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert {path.name for path in tmp_path.iterdir()} == {"new", "model.keras", "bundle"}


@pytest.mark.parametrize("name", FILES)
def test_every_changed_byte_is_found(name: str, bundle: Path) -> None:
    """Anywhere in any file, one bit is enough; the message names the file."""
    content = (bundle / name).read_bytes()
    places = {0, 1, len(content) - 1, *np.linspace(0, len(content) - 1, 100).astype(int).tolist()}
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1
        (bundle / name).write_bytes(damaged)
        with pytest.raises(ArtifactError, match=f"{name}: its checksum differs"):
            open_bundle(bundle)
    (bundle / name).write_bytes(content)
    open_bundle(bundle)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.0, 0.5, -1, 1])
def test_every_truncation_is_found(name: str, kept: float, bundle: Path) -> None:
    """An empty file, half of it, one byte less, one byte more."""
    content = (bundle / name).read_bytes()
    length = len(content) + int(kept) if kept in (-1, 1) else int(kept * len(content))
    (bundle / name).write_bytes((content + b"x")[:length])
    with pytest.raises(ArtifactError, match=f"{name}: missing or not {len(content)} bytes long"):
        open_bundle(bundle)


def test_all_faults_are_listed_at_once(bundle: Path) -> None:
    """A missing file, a changed one, one that is no part of a bundle, and those that the manifest does not list."""
    (bundle / "spec.json").unlink()
    (bundle / "golden.npz").write_bytes(b"\0" * (bundle / "golden.npz").stat().st_size)
    manifest = json.loads((bundle / "manifest.json").read_text())
    del manifest["files"]["conformal.npz"]
    manifest["files"]["../secret"] = {"sha256": "0", "size": 1}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    (bundle / "step.onnx").write_bytes(b"another graph")
    (bundle / "hooks").mkdir()
    with pytest.raises(ArtifactError) as error:
        open_bundle(bundle)
    for fault in (
        "spec.json: missing",
        "golden.npz: its check",
        "conformal.npz: missing from",
        "../secret: not a file",
        "step.onnx: not listed",
        "hooks: not listed",
    ):
        assert fault in str(error.value)


@pytest.mark.parametrize("name", [*FILES, "model.keras"])
def test_what_was_not_registered_is_never_opened(
    name: str, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any file exchanged, with a manifest that vouches for it: refused before a graph, an archive or a spec is read."""
    kept = tmp_path / "model.keras"
    kept.write_bytes(b"a network")
    rewrite(open_bundle(bundle), bundle, weights_file=kept)
    registered = checksum(bundle)
    assert check_files(bundle, registered=registered) == open_bundle(bundle, registered=registered).manifest
    (bundle / name).write_bytes(b"another file")
    vouch(bundle)
    check_files(bundle)
    for reader in ("numpy.load", "onnxruntime.InferenceSession", "forecasting.bundle.spec.Spec.model_validate_json"):
        monkeypatch.setattr(reader, lambda *_, **__: pytest.fail("it was opened"))
    for check in (check_files, open_bundle):
        with pytest.raises(ArtifactError, match="is not the registered one"):
            check(bundle, registered=registered)


def test_what_is_opened_are_the_bytes_that_were_checked(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are exchanged right after their checksums were compared change nothing."""
    whole = open_bundle(bundle)
    read = Spec.model_validate_json

    def exchange(content: bytes) -> Spec:
        for name in FILES:
            (bundle / name).write_bytes(b"exchanged")
        return read(content)

    monkeypatch.setattr(Spec, "model_validate_json", exchange)
    again = open_bundle(bundle)
    assert (bundle / "model.onnx").read_bytes() == b"exchanged"
    assert (again.spec, again.manifest) == (whole.spec, whole.manifest)


def test_a_damaged_manifest_is_refused_or_changes_no_content(bundle: Path) -> None:
    """Cut off anywhere it is no manifest; one changed character is refused, or stands in a note on its origin."""
    path, whole = bundle / "manifest.json", open_bundle(bundle)
    content = path.read_bytes()
    for length in range(0, len(content) - 1, 29):
        path.write_bytes(content[:length])
        with pytest.raises(ArtifactError, match="manifest"):
            open_bundle(bundle)
    refused = 0
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            loaded = open_bundle(bundle)
        except ArtifactError:
            refused += 1
        else:
            assert (loaded.manifest.files, loaded.spec) == (whole.manifest.files, whole.spec)
    assert refused > len(content) / 7 / 2


def test_no_bundle_and_other_formats_are_refused(bundle: Path, tmp_path: Path) -> None:
    """An empty folder, a missing one, a format of the past and one of the future; each in one sentence."""
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ArtifactError, match=r"not a bundle: it has no manifest\.json"):
            open_bundle(path)
    for other in (1, 3):
        vouch(bundle, format=other)
        with pytest.raises(ArtifactError, match=f"has format {other}, this release reads format 2: train") as refusal:
            open_bundle(bundle)
        assert "\n" not in str(refusal.value)


def _nan_weights(bundle: Bundle) -> bytes:
    model = onnx.load(bundle.path / "model.onnx")
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.nan, tensor.name))
    return bytes(model.SerializeToString())


def test_weights_that_are_no_numbers_are_refused(bundle: Path, tmp_path: Path) -> None:
    """Such a bundle never answers, even where its golden forecast is as empty as its weights."""
    first = open_bundle(bundle)
    path = rewrite(first, tmp_path / "nan", graphs=Graphs(_nan_weights(first)))
    with pytest.raises(ArtifactError, match="golden forecast: off by nan"):
        open_bundle(path)


@pytest.mark.parametrize(("shift", "accepted"), [(1e-6, True), (1e-3, False)])
def test_the_golden_forecast_must_come_out(shift: float, accepted: bool, bundle: Path) -> None:
    """A difference of rounding is accepted, a visible one is not, although every checksum is right."""
    with np.load(bundle / "golden.npz") as arrays:
        golden = {name: arrays[name] for name in arrays.files}
    np.savez(bundle / "golden.npz", **{**golden, "expected": golden["expected"] + np.float32(shift)})
    vouch(bundle)
    if accepted:
        open_bundle(bundle)
        return
    with pytest.raises(ArtifactError, match=r"does not reproduce its golden forecast: off by 0\.001"):
        open_bundle(bundle)


def test_files_of_another_bundle_are_refused(bundle: Path, rich: Any, fit_baseline: Callable[..., Fitted]) -> None:
    """Whole in themselves and vouched for, but not of this model: graph, calibration, golden forecast, no forecast."""
    other = fit_baseline(*rich, "drift").bundle
    backup = bundle.with_name("backup")
    shutil.copytree(bundle, backup)
    for name in ("model.onnx", "conformal.npz", "golden.npz"):
        shutil.copyfile(other / name, bundle / name)
        vouch(bundle)
        with pytest.raises(ArtifactError):
            open_bundle(bundle)
        shutil.copyfile(backup / name, bundle / name)
    np.savez(bundle / "golden.npz", past=np.zeros(1))
    vouch(bundle)
    with pytest.raises(ArtifactError, match="no golden forecast"):
        open_bundle(bundle)


class Payload:
    """Would make a folder if anyone unpickled it."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.target),))


@pytest.mark.parametrize("name", ["conformal.npz", "golden.npz"])
@pytest.mark.parametrize("layout", ["npz", "npy", "noise"])
def test_nothing_in_a_bundle_is_executed(name: str, layout: str, bundle: Path, tmp_path: Path) -> None:
    """A pickle where an array should be, alone or in an archive, vouched for by the manifest: refused, not loaded."""
    target = tmp_path / "executed"
    evil = np.array([Payload(target)], dtype=object)
    with (bundle / name).open("wb") as file:
        if layout == "npz":
            np.savez(file, allow_pickle=True, quantiles=evil, residuals=evil, expected=evil, past=evil)
        elif layout == "npy":
            np.save(file, evil, allow_pickle=True)
        else:
            file.write(b"PK\x03\x04 no archive")
    vouch(bundle)
    with pytest.raises(ArtifactError, match=f"{name} cannot be read"):
        open_bundle(bundle)
    assert not target.exists()


def test_the_payload_would_run_if_it_were_loaded(tmp_path: Path) -> None:
    """The test above can fail."""
    np.save(tmp_path / "evil.npy", np.array([Payload(tmp_path / "executed")], dtype=object), allow_pickle=True)
    np.load(tmp_path / "evil.npy", allow_pickle=True)
    assert (tmp_path / "executed").exists()


def test_a_spec_of_another_kind_is_refused(bundle: Path) -> None:
    """Unknown keys are not ignored."""
    spec = json.loads((bundle / "spec.json").read_text())
    (bundle / "spec.json").write_text(json.dumps(spec | {"hook": "os.system"}))
    vouch(bundle)
    with pytest.raises(ArtifactError, match="hook"):
        open_bundle(bundle)


def test_spec_round_trip_is_exact(bundle: Path) -> None:
    """Scaling state, vocabularies and limits come back to the last bit."""
    spec = open_bundle(bundle).spec
    assert Spec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    "step", ["forecasting.bundle.artifact._measure", "forecasting.bundle.artifact._versions", "os.replace"]
)
@pytest.mark.parametrize("there", [True, False])
def test_a_write_that_fails_leaves_what_was_there(
    step: str, there: bool, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old bundle or none, and no draft."""
    first = open_bundle(bundle)
    place = tmp_path / "room" / "bundle"
    if there:
        rewrite(first, place)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(step, fail)
    with pytest.raises(KeyboardInterrupt):
        rewrite(first, place, origin=Origin(seed=9))
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "room").iterdir()] == ["bundle"] * there
    if there:
        assert open_bundle(place).manifest.origin.seed == 3


def test_a_model_that_cannot_be_opened_is_not_written(bundle: Path, tmp_path: Path) -> None:
    """It fails before anything is in place."""
    with pytest.raises(ArtifactError, match=r"model\.onnx cannot be opened"):
        rewrite(open_bundle(bundle), tmp_path / "room" / "bundle", graphs=Graphs(b"no graph"))
    assert list((tmp_path / "room").iterdir()) == []


def test_a_writer_that_is_killed_leaves_the_old_bundle(bundle: Path) -> None:
    """The process dies between the files and the manifest: the old one still verifies and answers."""
    code = f"""
import os
from pathlib import Path
import numpy as np
from forecasting.bundle import artifact
old = artifact.open_bundle(Path({str(bundle)!r}))
artifact._measure = lambda path: os._exit(9)
with np.load(old.path / "golden.npz") as arrays:
    golden = {{name: arrays[name] for name in arrays.files if name != "expected"}}
artifact.write(old.path, old.spec, artifact.read_graphs(old.path), calibration=old.calibration,
               golden=golden, origin=artifact.Origin(seed=9))
"""
    before = (bundle / "manifest.json").read_bytes()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert (bundle / "manifest.json").read_bytes() == before
    open_bundle(bundle)


def test_a_new_bundle_replaces_the_old_one(bundle: Path) -> None:
    """Whole, without leftovers of the old one or of the exchange."""
    first = open_bundle(bundle)
    (bundle / "model.keras").write_bytes(b"of the old one")
    rewrite(first, bundle, origin=Origin(seed=9))
    assert open_bundle(bundle).manifest.origin.seed == 9
    assert sorted(path.name for path in bundle.iterdir()) == sorted([*FILES, "manifest.json"])
    assert [path.name for path in bundle.parent.iterdir() if "bundle" in path.name] == [bundle.name]
