"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from forecasting.runtime.files import replace, write_text


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
