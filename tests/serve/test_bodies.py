"""Bodies that are made to cost much more than their size: each is refused for a price in proportion to its size."""

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from forecasting.serve.bodies import parse_json
from forecasting.serve.errors import ServiceError

ROOT = Path(__file__).parents[2]
JSON: Final = {"content-type": "application/json"}
CSV: Final = {"content-type": "text/csv"}
ROWS: Final = 200  # and as many names in each, all of them different


def many_names() -> list[dict[str, int]]:
    """Rows of which each names other columns."""
    return [{f"{row}.{name}": 1 for name in range(ROWS)} for row in range(ROWS)]


def cost(work: Callable[[], Any]) -> float:
    """Bytes that Python allocates at the worst moment of some work."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("piece", [b'"\\', b'"', b"\\", b"NaN", b'\\"', b"NaN,"])
def test_sixteen_megabytes_of_any_piece_are_read_in_a_few_passes(piece: bytes) -> None:
    """A process with twenty seconds of processor time gets through; a pattern that backtracks needs hours."""
    code = (
        "import sys; from forecasting.serve.bodies import parse_json\n"
        "from forecasting.serve.errors import ServiceError\n"
        f"body = b'NaN' + {piece!r} * (16_000_000 // {len(piece)})\n"
        "try: parse_json(body, nan=True)\n"
        "except ServiceError as error: print(error.code)"
    )
    limit = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n"
    done = subprocess.run([sys.executable, "-c", limit + code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "invalid_json"), done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[NaN, "NaN", {"NaN": NaN}]', [None, "NaN", {"NaN": None}]),
        (r'["\"NaN", NaN, "\\", NaN]', ['"NaN', None, "\\", None]),
        (r'["\\\"NaN\\", NaN]', ['\\"NaN\\', None]),
        ("NaN", None),
    ],
)
def test_nan_is_null_outside_of_texts_alone(text: str, expected: Any) -> None:
    """Whatever quotes and backslashes stand before it."""
    assert parse_json(text.encode(), nan=True) == expected
    with pytest.raises(ServiceError, match="not valid JSON"):
        parse_json(text.encode())


@pytest.mark.parametrize("text", ["NaNaN", "[-NaN]", "[1NaN]", "[NaNull]", '["NaN]', "[NaN"])
def test_what_only_looks_like_nan_stays_wrong(text: str) -> None:
    """Nothing becomes valid but the word itself."""
    with pytest.raises(ServiceError, match="not valid JSON"):
        parse_json(text.encode(), nan=True)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/v1/forecast", {"name": "buoy", "records": many_names()}),
        ("/invocations/buoy", {"dataframe_records": many_names()}),
        ("/invocations/buoy", {"instances": many_names()}),
    ],
)
def test_rows_of_different_names_cost_no_table_of_all_names(client: Any, path: str, content: Any) -> None:
    """Only what the model reads becomes a column; 200 rows of 200 names would be 8 million cells."""
    body = json.dumps(content).encode()
    answers: list[Any] = []
    assert cost(lambda: answers.append(client.post(path, body, headers=JSON))) < 30 * len(body)
    assert answers[0].status_code == 422


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/v1/forecast", {"name": "buoy", "records": [1] * 40_000}),
        ("/v1/forecast", {"name": "buoy", "columns": dict.fromkeys(map(str, range(20_000)), 1)}),
        ("/v1/forecast", {"name": "buoy", "level": ["a"] * 40_000, "columns": {}}),
        ("/v1/forecast", dict.fromkeys(map(str, range(20_000)), 1)),
        ("/invocations/buoy", {"dataframe_records": [1] * 40_000}),
        ("/invocations/buoy", {"inputs": [1] * 40_000}),
        ("/invocations/buoy", {"dataframe_split": {"columns": [1] * 40_000, "data": [1] * 40_000}}),
        ("/invocations/buoy", {"dataframe_split": dict.fromkeys(map(str, range(20_000)), 1)}),
        ("/v2/models/buoy/infer", {"inputs": [1] * 40_000}),
        ("/v2/models/buoy/infer", {"inputs": [{"name": "y", "datatype": "FP64", "shape": ["a"] * 40_000}]}),
        ("/v2/models/buoy/infer", {"inputs": [], "outputs": [1] * 40_000}),
    ],
)
def test_many_faults_cost_no_more_than_one(client: Any, path: str, content: Any) -> None:
    """An error object of a kilobyte for every wrong item would be 40 MB."""
    body = json.dumps(content).encode()
    answers: list[Any] = []
    assert cost(lambda: answers.append(client.post(path, body, headers=JSON))) < 5e6 + 10 * len(body)
    assert answers[0].status_code == 422
    assert len(answers[0].content) < 5000


def test_objects_and_lists_are_counted_before_any_is_made(client: Any) -> None:
    """Two bytes of JSON would become seventy of memory."""
    body = b'{"records":[' + b"{}," * 600_000 + b"{}]}"
    answers: list[Any] = []
    assert cost(lambda: answers.append(client.post("/v1/forecast", body, headers=JSON))) < 10 * len(body)
    assert answers[0].status_code == 413


@pytest.mark.parametrize("path", ["/upload?model=buoy", "/invocations/buoy"])
@pytest.mark.parametrize("body", [b"," * 200_000, b"unique_id,ds,y\n" + b"," * 200_000, b"\n" * 3_000_000])
def test_csv_without_a_table_costs_no_table(client: Any, path: str, body: bytes) -> None:
    """A header of commas, a row of them, nothing but line ends."""
    answers: list[Any] = []
    assert cost(lambda: answers.append(client.post(path, body, headers=CSV))) < 5e6 + 30 * len(body)
    assert answers[0].status_code in (400, 422)
    assert answers[0].json()["error"]["code"] == "invalid_csv"


@pytest.mark.parametrize("path", ["/upload?model=buoy", "/invocations/buoy"])
def test_csv_rows_are_counted_as_they_are_read(copied: Path, service: Any, path: str) -> None:
    """Beyond the limit nothing is kept of them, and the answer tells how many there are."""
    body = b"unique_id,ds,y\n" + b"a,2026-01-01,1\n" * 50_000
    with service(copied, max_rows=10) as client:
        answers: list[Any] = []
        assert cost(lambda: answers.append(client.post(path, body, headers=CSV))) < 5e6 + 8 * len(body)
    assert "50000 rows, allowed are 10" in answers[0].text


def test_csv_numbers_have_no_second_reading(client: Any) -> None:
    """What Python reads as a number and nobody else does is refused, on every route."""
    body = b"unique_id,ds,y\na,2026-01-01,1_000\n"
    assert client.post("/invocations/buoy", body, headers=CSV).status_code == 400
    assert client.post("/upload?model=buoy", body, headers=CSV).status_code == 422


def test_tensors_of_too_many_rows_are_not_unpacked(client: Any) -> None:
    """Eight megabytes of small numbers would be 64 of a list."""
    tensor = {"name": "y", "datatype": "INT8", "shape": [8_000_000], "parameters": {"binary_data_size": 8_000_000}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"inference-header-content-length": str(len(head))}
    answers: list[Any] = []
    body = head + bytes(8_000_000)
    path = "/v2/models/buoy/infer"
    assert cost(lambda: answers.append(client.post(path, body, headers=headers))) < 5 * len(body)
    assert answers[0].status_code == 422
