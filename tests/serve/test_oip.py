"""The Open Inference Protocol: a table as tensors, as JSON and as bytes, and a client that others wrote."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

INFER = "/v2/models/buoy/infer"
LENGTH = "Inference-Header-Content-Length"


def tensor(name: str, kind: str, data: list[Any], **more: Any) -> dict[str, Any]:
    """An input with its values in JSON."""
    return {"name": name, "datatype": kind, "shape": [len(data)], "data": data, **more}


def inputs(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """A table as tensors."""
    kinds = {"unique_id": "BYTES", "ds": "BYTES", "y": "FP64"}
    return [tensor(name, kinds[name], values) for name, values in columns.items()]


def outputs(response: Any) -> dict[str, Any]:
    """The outputs of an answer by name."""
    assert response.status_code == 200, response.text
    return {tensor["name"]: tensor["data"] for tensor in response.json()["outputs"]}


@pytest.fixture(scope="module")
def table(columns: Callable[..., Any], history: Callable[..., pd.DataFrame]) -> dict[str, list[Any]]:
    """Two series as columns."""
    found: dict[str, list[Any]] = columns(history("b", "a", rows=10))
    return found


@pytest.fixture(scope="module")
def expected(client: Any, table: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Their forecast by the service's own route."""
    found: dict[str, list[Any]] = client.post("/v1/forecast", {"name": "buoy", "columns": table}).json()["columns"]
    return found


@pytest.mark.parametrize("path", ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/buoy/ready"])
def test_server_and_model_are_well(client: Any, path: str) -> None:
    """All endpoints answer as JSON; a pinned version is the served one."""
    assert client.get(path).status_code == 200
    assert client.get("/v2/models/buoy/versions/1/ready").json() == {"name": "buoy", "ready": True}


def test_metadata_names_every_tensor(client: Any) -> None:
    """Names, datatypes and shapes of what goes in and comes out; covariates are among them."""
    farm = client.get("/v2/models/farm").json()
    kinds = {tensor["name"]: tensor["datatype"] for tensor in farm["inputs"]}
    assert farm["versions"] == ["1"]
    texts, numbers = ("unique_id", "ds", "label", "kind"), ("y", "p", "f", "area", "quantiles")
    assert kinds == {**dict.fromkeys(texts, "BYTES"), **dict.fromkeys(numbers, "FP64"), "h": "INT64"}
    assert client.get("/v2/models/farm/versions/1").json() == farm


def test_json_tensors_give_the_forecast(client: Any, table: Any, expected: Any) -> None:
    """The same columns as the service's own route, with the request's id and the version that answered."""
    response = client.post(INFER, {"id": "7", "inputs": inputs(table)})
    assert outputs(response) == expected
    head = {key: response.json()[key] for key in ("model_name", "model_version", "id", "parameters")}
    parameters = {"kind": "drift", "baseline": True}
    assert head == {"model_name": "buoy", "model_version": "1", "id": "7", "parameters": parameters}
    assert {t["name"]: (t["datatype"], t["shape"]) for t in response.json()["outputs"]} == {
        **dict.fromkeys(("unique_id", "ds", "cutoff"), ("BYTES", [8])),
        "step": ("INT64", [8]),
        **dict.fromkeys(("q0.1", "q0.5", "q0.9"), ("FP64", [8])),
    }


def test_stamps_may_be_microseconds_and_shapes_columns(client: Any, table: Any, expected: Any) -> None:
    """INT64 since 1970; [rows, 1] is [rows]; 32-bit readings are readings."""
    micros = np.array(table["ds"], dtype="datetime64[us]").astype(np.int64).tolist()
    tall = {"shape": [20, 1], "data": [[value] for value in table["y"]]}
    given = [
        tensor("unique_id", "BYTES", table["unique_id"], shape=[1, 20]),
        tensor("ds", "INT64", micros),
        tensor("y", "FP32", []) | tall,
    ]
    assert outputs(client.post(INFER, {"inputs": given})) == expected


def test_wanted_outputs_horizon_and_quantiles_are_given(client: Any, table: Any, expected: Any) -> None:
    """As inputs or as parameters of the request; in the order asked for."""
    extra = [tensor("h", "INT64", [2]), tensor("quantiles", "FP64", [0.9])]
    wanted = [{"name": "q0.9"}, {"name": "step"}]
    found = outputs(client.post(INFER, {"inputs": inputs(table) + extra, "outputs": wanted}))
    assert list(found) == ["q0.9", "step"]
    assert found["step"] == [1, 2, 1, 2]
    assert found["q0.9"] == [expected["q0.9"][place] for place in (0, 1, 4, 5)]
    by_parameter = client.post(INFER, {"inputs": inputs(table), "parameters": {"h": 2, "level": 80, "priority": 1}})
    assert outputs(by_parameter)["q0.9"] == found["q0.9"]


def packed(values: list[str]) -> bytes:
    """Texts as the protocol packs them."""
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in values)


def binary(table: dict[str, list[Any]], **more: Any) -> tuple[bytes, dict[str, str]]:
    """A request with all values behind the JSON."""
    parts = {
        "unique_id": ("BYTES", packed(table["unique_id"])),
        "ds": ("BYTES", packed(table["ds"])),
        "y": ("FP64", np.array(table["y"], dtype=float).tobytes()),
    }
    tensors = [
        {"name": name, "datatype": kind, "shape": [len(table[name])], "parameters": {"binary_data_size": len(raw)}}
        for name, (kind, raw) in parts.items()
    ]
    head = json.dumps({"inputs": tensors, **more}).encode()
    return head + b"".join(raw for _, raw in parts.values()), {LENGTH: str(len(head))}


def test_bytes_go_in_and_out(client: Any, table: Any, expected: Any) -> None:
    """Little-endian numbers and texts behind their lengths, in both directions; a missing reading is NaN."""
    content, headers = binary(table, parameters={"binary_data_output": True})
    response = client.post(INFER, content, headers=headers)
    size = int(response.headers[LENGTH])
    head, tail = json.loads(response.content[:size]), response.content[size:]
    assert response.headers["content-type"] == "application/octet-stream"
    found = {}
    for output in head["outputs"]:
        taken = output["parameters"]["binary_data_size"]
        found[output["name"]], tail = tail[:taken], tail[taken:]
    assert tail == b""
    assert found["ds"] == packed(expected["ds"])
    assert np.frombuffer(found["step"], "<i8").tolist() == expected["step"]
    assert np.frombuffer(found["q0.1"], "<f8").tolist() == expected["q0.1"]

    gap = {**table, "y": [*table["y"][:3], None, *table["y"][4:]]}
    content, headers = binary({**gap, "y": [np.nan if y is None else y for y in gap["y"]]})
    assert outputs(client.post(INFER, content, headers=headers)) == outputs(client.post(INFER, {"inputs": inputs(gap)}))


def test_bytes_that_no_input_tells_of_are_refused(client: Any, table: Any) -> None:
    """Nothing behind the JSON is left over."""
    content, headers = binary(table)
    response = client.post(INFER, content + b"!", headers=headers)
    assert response.status_code == 422
    assert "more bytes" in response.json()["error"]


def test_one_output_may_be_bytes(client: Any, table: Any, expected: Any) -> None:
    """The others stay JSON."""
    wanted = [{"name": "q0.5", "parameters": {"binary_data": True}}, {"name": "step"}]
    response = client.post(INFER, {"inputs": inputs(table), "outputs": wanted})
    size = int(response.headers[LENGTH])
    assert np.frombuffer(response.content[size:], "<f8").tolist() == expected["q0.5"]
    assert json.loads(response.content[:size])["outputs"][1]["data"] == expected["step"]


def changed(table: dict[str, list[Any]], **tensors: dict[str, Any]) -> dict[str, Any]:
    """A good request with other properties of some tensors."""
    return {"inputs": [{**given, **tensors.get(given["name"], {})} for given in inputs(table)]}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"y": {"shape": [21]}}, "shape"),
        ({"y": {"shape": [10, 2]}}, "shape"),
        ({"y": {"shape": []}}, "shape"),
        ({"y": {"shape": [-20]}}, "shape"),
        ({"y": {"data": None}}, "every input has data"),
        ({"y": {"datatype": "BYTES", "data": ["x"] * 20}}, "y must hold numbers or null"),
        ({"y": {"name": "ds"}}, "the same name"),
        ({"y": {"name": "z"}}, "column y is missing; 1 column(s) are unknown"),
        ({"ds": {"datatype": "INT64"}}, "microseconds since 1970"),
        ({"ds": {"datatype": "INT64", "data": [2**63 - 1] * 20}}, "1700 to 2250"),
        ({"ds": {"datatype": "INT64", "data": [-(2**63)] * 20}}, "ISO 8601"),
        ({"y": {"shape": "20"}}, "inputs.2.shape"),
    ],
)
def test_wrong_tensors_are_refused_in_one_text(client: Any, table: Any, change: Any, text: str) -> None:
    """`{"error": "…"}`, as the protocol has it."""
    response = client.post(INFER, changed(table, **change))
    assert response.status_code == 422, response.text
    assert response.json().keys() == {"error"}
    assert text in response.json()["error"]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"{}", {LENGTH: "3"}, 422),
        (b"{}", {LENGTH: "-1"}, 422),
        (b"{}", {LENGTH: "9" * 5000}, 422),
        (b"{}", {}, 422),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {"content-encoding": "gzip"}, 415),
    ],
)
def test_wrong_bodies_are_refused_in_one_text(client: Any, content: bytes, headers: Any, status: int) -> None:
    """Broken JSON, a length that cannot be, other content."""
    response = client.post(INFER, content, headers=headers)
    assert response.status_code == status, response.text
    assert isinstance(response.json()["error"], str)


@pytest.mark.parametrize(
    ("name", "raw", "text"),
    [
        ("y", b"1234567", "no tensor"),
        ("y", np.zeros(19).tobytes(), "shape"),
        ("ds", b"\xff\xff\xff\xff", "longer than the tensor"),
        ("ds", b"\x01\x00", "UTF-8"),
        ("ds", b"\x01\x00\x00\x00\xff", "UTF-8"),
    ],
)
def test_wrong_bytes_are_refused(client: Any, table: Any, name: str, raw: bytes, text: str) -> None:
    """No length inside of the bytes is believed."""
    given = changed(table, **{name: {"parameters": {"binary_data_size": len(raw)}, "data": None}})
    head = json.dumps(given).encode()
    response = client.post(INFER, head + raw, headers={LENGTH: str(len(head))})
    assert response.status_code == 422
    assert text in response.json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/other",
        "/v2/models/other/ready",
        "/v2/models/buoy/versions/2",
        "/v2/nothing",
        "/v2/models/%2e%2e/ready",
        "/v2/models/..%2fbuoy",
    ],
)
def test_what_is_not_served_is_not_found(client: Any, path: str) -> None:
    """404 in the protocol's shape; another version than the served one is not served."""
    response = client.get(path)
    assert response.status_code == 404
    assert isinstance(response.json()["error"], str)


def test_triton_client_gets_the_same_numbers(
    copied: Path, gatecast: list[str], serving: Any, table: Any, expected: Any, tmp_path: Path
) -> None:
    """Triton's own HTTP client against a real process: health, metadata, bytes and JSON, errors."""
    http = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]")
    kinds = {"unique_id": ("BYTES", object), "ds": ("BYTES", object), "y": ("FP64", np.float64)}
    with serving(gatecast, copied, tmp_path / "log") as served:
        client = http.InferenceServerClient(f"127.0.0.1:{served.port}", network_timeout=60, connection_timeout=60)
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("buoy", "1")
        assert not client.is_model_ready("buoy", "2")
        assert client.get_server_metadata()["name"] == "gatecast"
        assert client.get_model_metadata("buoy")["inputs"][2] == {"name": "y", "datatype": "FP64", "shape": [-1]}
        given: list[Any] = []
        for as_bytes in (True, False):
            given.clear()
            for name, (kind, dtype) in kinds.items():
                given.append(http.InferInput(name, [len(table[name])], kind))
                given[-1].set_data_from_numpy(np.array(table[name], dtype=dtype), binary_data=as_bytes)
            wanted = [http.InferRequestedOutput(name, binary_data=as_bytes) for name in ("unique_id", "q0.1", "q0.9")]
            result = client.infer("buoy", given, model_version="1", outputs=wanted, request_id="1")
            names = result.as_numpy("unique_id").tolist()
            assert [name.decode() if as_bytes else name for name in names] == expected["unique_id"]
            for name in ("q0.1", "q0.9"):
                assert result.as_numpy(name).tolist() == expected[name]
        with pytest.raises(Exception, match="no model of that name is served"):
            client.infer("other", given)
        client.close()
