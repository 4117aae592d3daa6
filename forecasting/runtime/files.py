"""Files and folders that appear under their name whole or not at all, even in a power cut.

Everything is on disk before it gets its name. A killed process needs no such care, but a power cut does: the name may
survive while the content is lost, and a run that resumes from a note, a checkpoint, or a bundle would find an empty
file in place of a whole one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["create", "remove_folder", "replace", "replace_folder", "sync", "writable", "write_text"]

Writer = Callable[[Path], object]


def replace(path: Path, writer: Writer) -> None:
    """Let `writer` fill a draft beside `path` (of the same name) that takes its place once it is whole.

    Makes the folder. If the writer fails, the old file stays and no draft is left. Processes that write the same file
    at once do not interfere: the last one wins.
    """
    with _draft(path) as draft:
        writer(draft)
        sync(draft)
        os.replace(draft, path)


def write_text(path: Path, text: str) -> None:
    """Replace the file by this text, in UTF-8."""
    replace(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def create(path: Path, writer: Writer) -> None:
    """Like `replace`, for a new file: if another process makes it first, that file stays."""
    with _draft(path) as draft:
        writer(draft)
        sync(draft)
        with suppress(FileExistsError):
            os.link(draft, path)


def replace_folder(path: Path, writer: Writer, *, keep: Callable[[Path], bool] | None = None) -> None:
    """Let `writer` fill an empty folder beside `path` that takes its place once it is whole.

    A concurrent reader sees the old folder, none, or the new one. If the writer fails, the old folder stays. A folder
    that is there when the new one is whole stays if `keep` returns true for it: it may be in use.
    """
    with _draft(path) as draft:
        draft.mkdir()
        writer(draft)
        for each in (*draft.rglob("*"), draft):
            sync(each)
        try:
            os.replace(draft, path)  # refused where a folder with files is in the way
        except OSError:
            if keep is None or not keep(path):
                _swap(draft, path)


def remove_folder(path: Path) -> None:
    """Remove a folder so that nobody sees half of it; it may be gone already."""
    with suppress(FileNotFoundError), _scratch(path) as scratch:
        os.replace(path, scratch / path.name)


def writable(folder: Path) -> bool:
    """Whether files may be made in a folder, or the folder itself where there is none yet."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return os.access(there, os.W_OK | os.X_OK)


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """Where the new content is written; afterwards its remains go, and so does the replaced content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _scratch(path) as scratch:
        yield scratch / path.name
        sync(path.parent)


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """A hidden folder beside `path`; files that others hold open may outlive it on a network drive."""
    name = f".{path.name}-"
    with tempfile.TemporaryDirectory(prefix=name, dir=path.parent, ignore_cleanup_errors=True) as scratch:
        yield Path(scratch)


def _swap(draft: Path, path: Path) -> None:
    old = draft.with_name(f"{draft.name}.old")
    os.replace(path, old)
    try:
        os.replace(draft, path)
    except BaseException:
        os.replace(old, path)
        raise


def sync(path: Path) -> None:
    """Force a file's content, or a folder's names, to disk."""
    posix = os.name == "posix"
    if path.is_dir() and not posix:
        return  # Windows syncs files only, and those that may be written
    descriptor = os.open(path, os.O_RDONLY if posix else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
