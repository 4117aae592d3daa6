"""The snippets of README and docs, and a home like the one that `make run` leaves for them."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from forecasting import sources
from forecasting.batch.plan import Request
from forecasting.batch.vintages import forecast
from forecasting.bundle.artifact import Origin
from forecasting.config.job import load_job, parse_job
from forecasting.evaluation.judging import fit_baselines
from forecasting.registry.registry import Registry
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.storage.store import Store

ROOT = Path(__file__).parents[1]
_FOLDERS = (ROOT / "docs", ROOT / "docs" / "howto", ROOT / "docs" / "networks")
PAGES = [ROOT / "README.md", *(page for folder in _FOLDERS for page in sorted(folder.glob("*.md")))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_TEXT = "ROMEO: But, soft! what light through yonder window breaks? " * 40


class Snippet(NamedTuple):
    """A block of code on a page."""

    page: str
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands of a shell snippet, each as one line; a quoted text may go over several.

        In a picture of a screen they stand behind a dollar, and the rest is what they print.
        """
        if self.text.startswith("$ "):
            return [line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ ")]
        commands, begun = [], ""
        for line in self.text.splitlines():
            begun += ("\n" if begun.count("'") % 2 else " ") + line.rstrip("\\") if begun else line.rstrip("\\")
            if begun.count("'") % 2 == 0 and not line.endswith("\\"):
                commands.append(re.sub(r"\s+#.*$", "", begun).strip())
                begun = ""
        return [command for command in commands if command]


def snippets(*pages: Path) -> list[Snippet]:
    """The blocks of these pages, by default of all."""
    return [
        Snippet(path.relative_to(ROOT).as_posix(), language, text)
        for path in pages or PAGES
        for language, text in _BLOCK.findall(path.read_text(encoding="utf-8"))
    ]


def named(snippet: Snippet) -> str:
    """How a test names a snippet: its page and its first words."""
    return f"{Path(snippet.page).stem}: {' '.join(snippet.text.split())[:50]}"


def make_home(home: Path, database: Path) -> Path:
    """The job of the quickstart with two baselines as versions, readings and vintages; and a model of characters."""
    place = home.parent / "fitted"
    for folder in (home, place):
        folder.mkdir()
    (home / "mlflow.db").write_bytes(database.read_bytes())
    registry, store = Registry(f"sqlite:///{home / 'mlflow.db'}", home), Store(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        job = load_job(Path("configs/quickstart.yaml"))
        table = clean(sources.read(job), job.series).table
    plan = folds(table, job)
    (place / "text.txt").write_text(_TEXT, encoding="utf-8")
    symbols = parse_job(
        {
            "name": "characters",
            "source": {"kind": "text", "path": str(place / "text.txt")},
            "series": {"freq": "s"},
            "window": {"context": 16, "horizon": 20},
            "head": {"name": "categorical"},
            "model": {"name": "in_step", "params": {"cell": "lstm", "units": [4]}},
            "backtest": {"windows": 5},
        }
    )
    letters = clean(sources.read(symbols), symbols.series).table
    for one, data, spans, names in (
        (job, table, plan, ("ridge", "naive")),
        (symbols, letters, folds(letters, symbols), ("bigram",)),
    ):
        fitted = {made.name: made for made in fit_baselines(data, one, spans[:1], place / one.name, origin=Origin())}
        for name in names:
            run = registry.runs.start(one.name, name, {})
            last = pd.Timestamp(data["ds"].max()).isoformat()
            notes = {"fit_until": spans[0].fit_until.isoformat(), "known_until": last}
            bundle = fitted[name].bundles[0]
            version = registry.versions.register(
                one.name, run.run_id, bundle, verdict="passed", metrics={"wql": 0.1, "mae": 14.0}, notes=notes
            )
            registry.aliases.promote(one.name, version)
            registry.runs.finish(run.run_id)
    registry.aliases.promote(job.name, 1)
    for back in (40, 20):
        at = table["ds"].max() - back * pd.Timedelta("5min")
        store.observations.merge(job.name, table[table["ds"] <= at])
        forecast(store, registry, job, request=Request())  # before its actuals came
    store.observations.merge(job.name, table)
    (home / "serve").mkdir()
    for name, number in ((job.name, 1), (symbols.name, 1)):  # so that a service starts from them at once
        registry.cache.download(name, number)
        note = {"version": number, "manifest": registry.versions.get(name, number).manifest}
        (home / "serve" / f"{name}@champion.json").write_text(json.dumps(note), encoding="utf-8")
    return home
