"""Tensors of the Open Inference Protocol: the columns of a long table, as JSON or as bytes behind it."""

from __future__ import annotations

import struct
from typing import Annotated, Any, Final

import numpy as np
import orjson
from pydantic import ConfigDict, Field

from forecasting.bundle.spec import Spec
from forecasting.columns import CUTOFF, DS, STEP, SYMBOL, UNIQUE_ID, UNKNOWN_READ, Y
from forecasting.serve.bodies import Document, few, parse_as, parse_json
from forecasting.serve.errors import ServiceError
from forecasting.serve.requests import ForecastRequest
from forecasting.serve.responses import texts

__all__ = ["InferRequest", "answer", "inputs_of", "outputs_of", "read", "request_of"]

BYTES: Final = "BYTES"
_NUMBERS: Final = {
    "FP64": "<f8", "FP32": "<f4", "FP16": "<f2",
    "INT64": "<i8", "INT32": "<i4", "INT16": "<i2", "INT8": "i1",
    "UINT64": "<u8", "UINT32": "<u4", "UINT16": "<u2", "UINT8": "u1",
}  # fmt: skip
_KINDS: Final = {
    **dict.fromkeys((UNIQUE_ID, DS, CUTOFF, SYMBOL), BYTES),
    **dict.fromkeys((STEP, UNKNOWN_READ), "INT64"),
}  # of the columns of a forecast; all others are FP64
_SINGLE: Final = {"h": "INT64", "quantiles": "FP64"}  # inputs that are no columns
_PARAMETERS: Final = ("h", "freq", "level", "quantiles")

Values = dict[str, list[Any]]


class Output(Document):
    """An output that is wanted."""

    model_config = ConfigDict(extra="ignore", strict=False)

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class Input(Document):
    """An input tensor; its values stand in `data`, or as `binary_data_size` bytes behind the JSON."""

    model_config = ConfigDict(extra="ignore")

    name: str
    shape: Annotated[list[int], few(8)]
    datatype: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    data: list[Any] | None = None


class InferRequest(Document):
    """A request for inference; parameters of the protocol that mean nothing here are ignored."""

    model_config = ConfigDict(extra="ignore")

    id: str | None = Field(None, max_length=256)
    parameters: dict[str, Any] = Field(default_factory=dict)
    inputs: Annotated[list[Input], few(1000)] = Field(min_length=1)
    outputs: Annotated[list[Output], few(1000)] | None = None


def inputs_of(spec: Spec) -> list[dict[str, Any]]:
    """The tensors that a model reads; all have one length, but for the optional `h` and `quantiles`."""
    kinds = {UNIQUE_ID: BYTES, DS: BYTES}
    kinds |= {name: BYTES if name in spec.labels else "FP64" for name in (Y, *spec.covariates)}
    columns = [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in kinds.items()]
    optional = [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in _SINGLE.items()]
    return [*columns, *({**tensor, "optional": True} for tensor in optional)]


def outputs_of(spec: Spec) -> list[dict[str, Any]]:
    """The tensors that a model gives where no quantiles are asked for."""
    names = [UNIQUE_ID, DS, CUTOFF, STEP, *spec.outputs]
    return [{"name": name, "datatype": _kind(name), "shape": [-1]} for name in names]


def read(body: bytes, header_length: str | None, *, most: int) -> tuple[InferRequest, Values]:
    """The request and the values of its inputs, at most `most` each.

    Raises ServiceError 400 or 422 for what does not fit together.
    """
    if header_length is None:
        size = len(body)
    elif header_length.isascii() and header_length.isdigit() and int(header_length[:12]) <= len(body):
        size = int(header_length[:12])
    else:
        raise _wrong("Inference-Header-Content-Length must be the size of the JSON in front of the bytes")
    request = parse_as(InferRequest, parse_json(body[:size]))
    tail, values = body[size:], dict[str, list[Any]]()
    for tensor in request.inputs:
        if tensor.name in values:
            raise _wrong("two inputs have the same name")
        if max(tensor.shape, default=0) > most:  # before anything is made of it
            raise _wrong(f"an input has more than {most} rows")
        if "binary_data_size" in tensor.parameters:
            taken = tensor.parameters["binary_data_size"]
            if type(taken) is not int or not 0 <= taken <= len(tail):
                raise _wrong("binary_data_size must be the number of bytes of the tensor behind the JSON")
            values[tensor.name], tail = _decoded(tensor, tail[:taken]), tail[taken:]
        else:
            values[tensor.name] = _flat(tensor)
    if tail:
        raise _wrong("there are more bytes behind the JSON than the inputs tell of")
    return request, values


def request_of(request: InferRequest, values: Values, name: str) -> ForecastRequest:
    """The same as a forecast request; raises ServiceError 422."""
    content: dict[str, Any] = {key: request.parameters[key] for key in _PARAMETERS if key in request.parameters}
    for key in ("level", "quantiles"):  # parameters of the protocol are single values
        if key in content and not isinstance(content[key], list):
            content[key] = [content[key]]
    columns = {key: column for key, column in values.items() if key not in _SINGLE}
    if "h" in values:
        if len(values["h"]) != 1:
            raise _wrong("h holds one number")
        content["h"] = values["h"][0]
    if "quantiles" in values:
        content["quantiles"] = values["quantiles"]
    kinds = {tensor.name: tensor.datatype for tensor in request.inputs}
    if kinds.get(DS) == "INT64":
        columns[DS] = _stamps(columns[DS])
    return parse_as(ForecastRequest, {**content, "name": name, "columns": columns})


def answer(request: InferRequest, columns: Values, head: dict[str, Any]) -> tuple[bytes, int | None]:
    """The body of an answer with the outputs that were asked for, and the size of its JSON where bytes follow it."""
    wanted = request.outputs or [Output(name=name) for name in columns]
    if not {output.name for output in wanted} <= columns.keys():
        raise _wrong(f"an output is unknown; this request gives {', '.join(columns)}")
    binary = request.parameters.get("binary_data_output") is True
    outputs, tail = [], list[bytes]()
    for output in wanted:
        values, kind = columns[output.name], _kind(output.name)
        tensor: dict[str, Any] = {"name": output.name, "datatype": kind, "shape": [len(values)]}
        if output.parameters.get("binary_data", binary) is True:
            tail.append(_encoded(values, kind))
            tensor["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            tensor["data"] = values
        outputs.append(tensor)
    told = {**head, **({"id": request.id} if request.id is not None else {}), "outputs": outputs}
    text = orjson.dumps(told)
    return text + b"".join(tail), len(text) if tail else None


def _kind(name: str) -> str:
    return _KINDS.get(name, "FP64")


def _flat(tensor: Input) -> list[Any]:
    """The values of a tensor in JSON, flat or nested like its shape."""
    values = tensor.data
    if values is None:
        raise _wrong("every input has data, or binary_data_size and bytes behind the JSON")
    while values and all(isinstance(part, list) for part in values):
        values = [value for part in values for value in part]
    _check_shape(tensor, len(values))
    return values


def _decoded(tensor: Input, raw: bytes) -> list[Any]:
    """The values of a tensor in bytes: little-endian numbers, texts behind their length in four bytes."""
    if tensor.datatype == BYTES:
        values = _texts(raw)
    elif tensor.datatype in _NUMBERS and len(raw) % np.dtype(_NUMBERS[tensor.datatype]).itemsize == 0:
        numbers = np.frombuffer(raw, dtype=_NUMBERS[tensor.datatype])
        _check_shape(tensor, len(numbers))
        return list(numbers.tolist())
    else:
        raise _wrong(f"bytes that are no tensor; datatypes are {', '.join([BYTES, *_NUMBERS])}")
    _check_shape(tensor, len(values))
    return values


def _texts(raw: bytes) -> list[str]:
    values, at = list[str](), 0
    try:
        while at < len(raw):
            (size,) = struct.unpack_from("<I", raw, at)
            if at + 4 + size > len(raw):
                raise _wrong("a text of a BYTES tensor is longer than the tensor")
            values.append(raw[at + 4 : at + 4 + size].decode())
            at += 4 + size
    except (struct.error, UnicodeDecodeError):
        raise _wrong("a BYTES tensor holds texts in UTF-8, each behind its length in four bytes") from None
    return values


def _encoded(values: list[Any], kind: str) -> bytes:
    if kind == BYTES:
        return b"".join(struct.pack("<I", len(text)) + text for text in map(str.encode, values))
    return np.asarray(values, dtype=_NUMBERS[kind]).tobytes()


def _check_shape(tensor: Input, size: int) -> None:
    """A column is [rows]; [rows, 1] and [1, rows] say the same."""
    wide = [length for length in tensor.shape if length != 1]
    if not tensor.shape or len(wide) > 1 or (wide[0] if wide else 1) != size:
        raise _wrong("the shape of an input is [rows], with as many values as it says")


def _stamps(values: list[Any]) -> list[str]:
    """Microseconds since 1970 as texts."""
    try:
        return texts(np.asarray(values, dtype=np.int64).astype("datetime64[us]"))
    except (ValueError, TypeError, OverflowError):
        raise _wrong("ds of datatype INT64 holds microseconds since 1970") from None


def _wrong(text: str) -> ServiceError:
    return ServiceError(422, "invalid_request", text)
