"""Files and folders appear whole or not at all."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forecasting.runtime import files
from forecasting.runtime.files import create, remove_folder, replace, replace_folder, write_text


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    """Its folder is made, the second text takes the place of the first, no draft stays beside it."""
    path = tmp_path / "new" / "note.json"
    write_text(path, "one")
    write_text(path, "zwölf")
    assert path.read_text(encoding="utf-8") == "zwölf"
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """Half a draft is thrown away with its error."""
    path = tmp_path / "table.csv"
    write_text(path, "whole")

    def fail(draft: Path) -> None:
        draft.write_text("ha", encoding="utf-8")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        replace(path, fail)
    assert path.read_text(encoding="utf-8") == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_the_draft_has_the_name_of_the_file(tmp_path: Path) -> None:
    """Writers that choose a format by the suffix find the right one."""
    seen: list[str] = []
    replace(tmp_path / "frames.nc", lambda draft: (seen.append(draft.name), draft.touch()))
    assert seen == ["frames.nc"]


def test_a_file_that_another_process_made_first_stays(tmp_path: Path) -> None:
    """A file is created once; its second writer leaves no draft."""
    path = tmp_path / "new" / "mlflow.db"
    create(path, lambda draft: draft.write_text("first"))
    create(path, lambda draft: draft.write_text("second"))
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def fill(text: str) -> Callable[[Path], object]:
    """Writes two files, one of them in a folder."""

    def write(draft: Path) -> None:
        (draft / "inner").mkdir()
        (draft / "inner" / "one").write_text(text)
        (draft / text).touch()

    return write


def content(folder: Path) -> list[str]:
    """Every path below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_folder_is_replaced_with_all_its_files(tmp_path: Path) -> None:
    """No file of the old folder is left in the new one, and no draft beside it."""
    path = tmp_path / "room" / "bundle"
    replace_folder(path, fill("old"))
    replace_folder(path, fill("new"))
    assert content(path.parent) == ["bundle", "bundle/inner", "bundle/inner/one", "bundle/new"]
    assert (path / "inner" / "one").read_text() == "new"


def test_a_folder_that_is_worth_keeping_stays(tmp_path: Path) -> None:
    """What another process has put there meanwhile is asked about; an empty folder is in nobody's use."""
    path, asked = tmp_path / "bundle", []

    def keep(there: Path) -> bool:
        asked.append(content(there))
        return (there / "old").exists()

    path.mkdir()
    replace_folder(path, fill("old"), keep=keep)
    replace_folder(path, fill("new"), keep=keep)
    assert asked == [["inner", "inner/one", "old"]]
    assert (path / "inner" / "one").read_text() == "old"


@pytest.mark.parametrize("fails", ["writing", "first renaming", "second renaming", "third renaming"])
def test_a_folder_whose_replacement_fails_is_what_it_was(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old folder stays, or comes back, and nothing else is left, wherever it fails."""
    path, rename = tmp_path / "bundle", os.replace
    replace_folder(path, fill("old"))
    left = [["writing", "first renaming", "second renaming", "third renaming"].index(fails)]

    def fail(*args: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        rename(*args)

    def write(draft: Path) -> None:
        fill("new")(draft)
        if fails == "writing":
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(path, write)
    assert content(tmp_path) == ["bundle", "bundle/inner", "bundle/inner/one", "bundle/old"]


def test_a_folder_is_removed_and_may_be_gone_already(tmp_path: Path) -> None:
    """Two processes may remove the same one."""
    replace_folder(tmp_path / "bundle", fill("old"))
    remove_folder(tmp_path / "bundle")
    remove_folder(tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", ["write_text(path / 'note', 'x')", "replace_folder(path / 'folder', fill)"])
def test_a_killed_writer_leaves_what_was_there(write: str, tmp_path: Path) -> None:
    """The process dies when everything is written and nothing has its name: the old content is whole."""
    write_text(tmp_path / "note", "old")
    replace_folder(tmp_path / "folder", fill("old"))
    code = (
        "import os, sys; from pathlib import Path\n"
        "from forecasting.runtime.files import replace_folder, write_text\n"
        "os.replace = lambda *_: os._exit(9)\n"
        f"path, fill = Path(sys.argv[1]), lambda draft: (draft / 'new').touch()\n{write}"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path], check=False).returncode == 9
    assert (tmp_path / "note").read_text() == "old"
    assert content(tmp_path / "folder") == ["inner", "inner/one", "old"]


def test_content_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut leaves no name without its content: files are synced, then named, then the name is synced."""
    steps: list[str] = []
    rename, sync = os.replace, files.sync
    monkeypatch.setattr(files, "sync", lambda path: (steps.append(f"sync {path.name}"), sync(path)))
    monkeypatch.setattr(os, "replace", lambda *args: (steps.append("name"), rename(*args)))
    write_text(tmp_path / "note", "one")
    assert steps == ["sync note", "name", f"sync {tmp_path.name}"]
    steps.clear()
    replace_folder(tmp_path / "folder", lambda draft: (draft / "file").touch())
    assert steps == ["sync file", "sync folder", "name", f"sync {tmp_path.name}"]
