"""Models of symbols over HTTP: what follows histories and prompts is what the library and the command line say."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin
from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.generation import Sampling
from forecasting.bundle.symbol_forecaster import SymbolForecaster
from forecasting.config.job import parse_job
from forecasting.evaluation.ngrams import fit_ngram
from forecasting.registry.registry import Registry
from forecasting.series.folds import folds
from forecasting.series.vocabulary import prepare_symbols
from forecasting.serve.client import Client, RefusedError

WORDS = "Doug saw Jane . Jane saw Spot . Spot saw Doug . ".split()  # noqa: SIM905
NAME = "book"
PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")


def texts(**counts: int) -> pd.DataFrame:
    """A series of so many words under each name, a second apart."""
    parts = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": pd.date_range("2026-01-01", periods=count, freq="s", unit="us"),
                "y": [WORDS[i % len(WORDS)] for i in range(count)],
            }
        )
        for name, count in counts.items()
    ]
    return pd.concat(parts, ignore_index=True).astype({"unique_id": "str", "y": "str"})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trigram of sentences that repeat themselves."""
    job = parse_job(
        {
            "name": NAME,
            "source": {"kind": "text", "path": "*.txt", "unit": "word"},
            "series": {"freq": "s"},
            "window": {"context": 8, "horizon": 6},
            "model": {"name": "in_step"},
            "head": {"name": "categorical"},
            "forecast": {"seed": 3, "top": 2},
            "backtest": {"windows": 10, "step": 6},
        }
    )
    table = texts(long=360, short=60)
    spans = prepare_symbols(table, job, folds(table, job)[0])
    return fit_ngram("trigram", spans, job, tmp_path_factory.mktemp("book") / "bundle", origin=Origin())


@pytest.fixture(scope="module")
def book(
    bundle: Path,
    stocked: Path,
    tmp_path_factory: pytest.TempPathFactory,
    register: Callable[..., int],
    service: Any,
) -> Iterator[Any]:
    """The service with that model, and one of numbers."""
    home = Path(shutil.copytree(stocked, tmp_path_factory.mktemp("served") / "home"))
    register(home, NAME, bundle, "book")
    Registry(f"sqlite:///{home / 'mlflow.db'}", home).aliases.promote(NAME, 1)
    with service(home, max_symbols=200) as client:
        yield client


@pytest.fixture(scope="module")
def forecaster(bundle: Path) -> SymbolForecaster:
    """The same without the service."""
    return open_forecaster(bundle)


def test_histories_are_continued_as_in_batch(
    book: Any, forecaster: SymbolForecaster, columns: Callable[[pd.DataFrame], Any]
) -> None:
    """The same symbols and probabilities, in the order of the request, as columns and as records."""
    table = texts(z=30, a=17)
    told = book.post("/v1/forecast", {"name": NAME, "columns": columns(table)})
    assert told.status_code == 200, told.text
    found = pd.DataFrame(told.json()["columns"])
    expected = forecaster.forecast(table).sort_values(["unique_id", "step"], ascending=[False, True])
    assert list(found) == list(expected) == ["unique_id", "ds", "cutoff", "step", "symbol", "probability", "unknown"]
    for name in ("unique_id", "step", "symbol", "unknown"):
        assert found[name].tolist() == expected[name].tolist()
    np.testing.assert_allclose(found["probability"], expected["probability"], rtol=1e-6)
    assert [pd.Timestamp(stamp) for stamp in found["ds"]] == expected["ds"].tolist()
    rows = book.post("/v1/forecast", {"name": NAME, "records": records(table), "h": 2}).json()["records"]
    assert rows == found[found["step"] <= 2].to_dict("records")
    assert told.json()["model"] == {"name": NAME, "version": 1, "kind": "trigram", "baseline": True, "coverage": {}}


def test_documented_prompts_are_continued(book: Any) -> None:
    """The curl line of docs/serve.md and the example of the OpenAPI document, with the name of this model."""
    (line,) = re.findall(r"-d '(\{[^']*\"prompt\"[^']*\})'", PAGE)
    body = book.get("/openapi.json").json()["paths"]["/v1/forecast"]["post"]["requestBody"]
    examples = body["content"]["application/json"]["examples"].values()
    asked = [json.loads(line), *(example["value"] for example in examples if "prompt" in example["value"])]
    assert len(asked) >= 2
    for content in asked:
        told = book.post("/v1/forecast", {**content, "name": NAME})
        assert told.status_code == 200, told.text
        assert len(told.json()["continuation"]["symbols"]) == content["length"]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a request."""
    shown = table.assign(ds=table["ds"].dt.strftime("%Y-%m-%dT%H:%M:%S"))
    return shown.to_dict("records")  # type: ignore[return-value]


def test_a_prompt_is_continued_as_by_the_command(book: Any, forecaster: SymbolForecaster) -> None:
    """The most probable words at temperature 0, the drawn ones of a seed, and the job's own where nothing is said."""

    def told(**given: Any) -> Any:
        answer = book.post("/v1/forecast", {"name": NAME, "prompt": "Spot saw Rex . Doug saw", **given})
        assert answer.status_code == 200, answer.text
        return answer.json()["continuation"]

    best = told(length=6, temperature=0)
    assert best["text"] == "Jane . Jane saw Spot ." == " ".join(best["symbols"])
    assert best["unknown"] == 1
    read = "Spot saw Rex . Doug saw".split()  # noqa: SIM905
    for given, sampling, length in (
        ({"length": 30, "temperature": 1.5, "seed": 9}, Sampling(1.5, 9, 2), 30),
        ({}, Sampling(1.0, 3, 2), 6),
    ):
        expected = forecaster.generator.extend(read, length, sampling)
        found = told(**given)
        assert found["symbols"] == expected.symbols.tolist()
        np.testing.assert_allclose(found["probability"], expected.probability, rtol=1e-6)
    assert len({told(length=60, temperature=2, seed=seed)["text"] for seed in range(4)}) > 1
    assert len(book.post("/v1/forecast", {"name": NAME, "prompt": ""}).json()["continuation"]["symbols"]) == 6


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"prompt": "Doug", "length": 201}, "length is 201, allowed are 200"),
        ({"prompt": "Doug " * 201}, "prompt holds 201 symbols, allowed are 200"),
        ({"prompt": "Doug", "temperature": 101}, "temperature must be between 0 and 100"),
        ({"prompt": "Doug", "h": 3, "level": [80]}, "no other keys than"),
        ({"prompt": "Doug", "length": 0}, "length: "),
        ({"prompt": "Doug", "seed": -1}, "seed: "),
        ({"prompt": 1}, "prompt: "),
        ({"length": 4}, "give the history as records or as columns"),
        ({"columns": "table", "temperature": 0}, "temperature and seed belong to a prompt"),
        ({"columns": "table", "level": [80]}, "leave out level and quantiles"),
        ({"columns": "table", "h": 101}, "2 series of 101 steps, allowed are 200 symbols together"),
        ({"columns": "numbers"}, "y must hold texts or null"),
        ({"columns": "nulls"}, "hold no label"),
        ({"columns": "empty"}, "hold an empty label"),
        ({"columns": "gap"}, "step(s) are missing"),
        ({}, "give the history"),
    ],
)
def test_what_cannot_be_continued_is_refused(
    book: Any, columns: Callable[[pd.DataFrame], Any], content: dict[str, Any], words: str
) -> None:
    """With 422 and one clear sentence, never with what came."""
    table = texts(secret=20, b=20)
    tables = {
        "table": table,
        "numbers": table.assign(y=1.0),
        "nulls": table.assign(y=table["y"].where(table.index != 5)),
        "empty": table.assign(y=table["y"].where(table.index != 5, "")),
        "gap": table.drop(index=[4, 5]),
    }
    sent = {key: columns(tables[value]) if key == "columns" else value for key, value in content.items()}
    answer = book.post("/v1/forecast", {"name": NAME, **sent})
    assert answer.status_code == 422, answer.text
    assert words in answer.text
    assert "secret" not in answer.text


def test_a_model_of_numbers_has_no_prompt(book: Any, columns: Callable[[pd.DataFrame], Any]) -> None:
    """It says for what the key is."""
    for more in ({}, {"columns": columns(texts(a=9).assign(y=1.0))}):
        answer = book.post("/v1/forecast", {"name": "buoy", "prompt": "x", **more})
        assert answer.status_code == 422
        assert "are for models of symbols" in answer.text


def test_other_protocols_continue_symbols_too(
    book: Any, columns: Callable[[pd.DataFrame], Any], forecaster: SymbolForecaster
) -> None:
    """MLflow's and the Open Inference Protocol give the same symbols; the page, which draws numbers, says so."""
    table = columns(texts(a=9))
    tensors = [{"name": name, "datatype": "BYTES", "shape": [9], "data": table[name]} for name in table]
    expected = forecaster.forecast(texts(a=9))["symbol"].tolist()
    rows = book.post(f"/invocations/{NAME}", {"inputs": table}).json()["predictions"]
    assert [row["symbol"] for row in rows] == expected
    inferred = book.post(f"/v2/models/{NAME}/infer", {"inputs": tensors}).json()
    outputs = {one["name"]: one for one in inferred["outputs"]}
    assert (outputs["symbol"]["data"], outputs["symbol"]["datatype"]) == (expected, "BYTES")
    assert outputs["unknown"]["datatype"] == "INT64"
    upload = book.post(
        f"/upload?model={NAME}", b"unique_id,ds,y\na,2026-01-01,x\n", headers={"content-type": "text/csv"}
    )
    assert (upload.status_code, "this model gives symbols" in upload.text) == (422, True)
    assert "ask it over /v1/forecast" in book.get(f"/?model={NAME}").text.lower()


def test_the_list_of_models_tells_of_symbols(book: Any) -> None:
    """How many there are, and what one is in a text; none of a model of numbers."""
    found = {model["name"]: model["symbols"] for model in book.get("/v1/models").json()["models"]}
    assert found == {NAME: {"count": 5, "unit": "word"}, "buoy": None, "farm": None}


def test_the_client_continues_tables_and_texts(
    book: Any, forecaster: SymbolForecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables in and out, texts in and out, and the service's own sentence where it refuses."""
    with Client("http://gatecast") as client:
        monkeypatch.setattr(client, "_web", Bridge(book))
        table = texts(a=17)
        pd.testing.assert_frame_equal(client.forecast(table, name=NAME), forecaster.forecast(table), rtol=1e-6)
        assert client.continue_text("Doug saw", name=NAME, length=2, temperature=0) == "Jane ."
        with pytest.raises(RefusedError, match="allowed are 200 symbols"):
            client.continue_text("Doug saw", name=NAME, length=201)


class Bridge:
    """What the client uses of httpx, toward the service in this process."""

    def __init__(self, service: Any) -> None:
        self.service = service

    def request(self, method: str, path: str, **given: Any) -> Any:
        """One request."""
        return self.service.runner.run(self.service.web.request(method, path, **given))

    def close(self) -> None:
        """Nothing to close."""
