"""A hook of MkDocs: links to files outside of docs/ lead nowhere on the site, so only their text stays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

__all__ = ["on_page_markdown"]

_LINK: Final = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """The page with the links that stay on the site."""
    root = Path(config["docs_dir"])
    folder = (root / page.file.src_path).parent

    def kept(link: re.Match[str]) -> str:
        return link[0] if (folder / link[2]).resolve().is_relative_to(root) else link[1]

    return _LINK.sub(kept, markdown)
