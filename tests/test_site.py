"""The documentation as a site: whole, without a broken link, and without anything that a page would fetch elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# what a browser loads by itself, unlike a link that a reader may follow
LOADED = re.compile(
    r"""<(?:script|img|iframe|source|link(?=[^>]*rel="?stylesheet))[^>]*?\b(?:src|href)="?((?:https?:)?//[^"\s>]+)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_every_page_is_there(site: Path) -> None:
    """One file of HTML a page, and the index of the search inside a script, which opens from a disk."""
    pages = {
        path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "templates"
    }
    assert [page for page in pages if not (site / page).with_suffix(".html").is_file()] == []
    assert (site / "search" / "search_index.js").is_file()


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    """Scripts, styles, fonts, and pictures are files of the site."""
    pages = sorted(site.rglob("*.html"))
    assert {path.name: LOADED.findall(path.read_text(encoding="utf-8")) for path in pages} == {
        p.name: [] for p in pages
    }
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert [
        found for text in styles for found in re.findall(r"url\(['\"]?(?:https?:)?//[^)]*\)|@import[^;]*//", text)
    ] == []


def test_what_a_page_would_load_is_seen() -> None:
    """The check above can fail: scripts, pictures, and styles of other places are found, links of a reader are not."""
    assert LOADED.findall('<script defer src="https://cdn.example/x.js"></script>') == ["https://cdn.example/x.js"]
    assert LOADED.findall('<img alt="" src=//cdn.example/x.png>') == ["//cdn.example/x.png"]
    assert LOADED.findall('<link rel="stylesheet" href="https://fonts.example/a.css">') == [
        "https://fonts.example/a.css"
    ]
    assert LOADED.findall('<a href="https://example.org">there</a><img src="images/x.png">') == []


def test_the_reference_shows_signatures_and_examples(site: Path) -> None:
    """Of each function of the API, as its docstring has them."""
    import forecasting as fc

    text = re.sub(r"<[^>]+>", "", (site / "api.html").read_text(encoding="utf-8"))
    ids = (site / "api.html").read_text(encoding="utf-8")
    assert [name for name in fc.__all__ if f'id="forecasting.{name}"' not in ids] == []
    assert text.count("Examples:") >= 12
    assert "&lt;stacked: 4 steps of h ahead, 1 series&gt;" in text
