"""Files at URLs: read like those on disk, from a web server and an object store; what fails is one sentence."""

import gzip
import io
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from pandas.testing import assert_frame_equal

from forecasting.config.job import parse_job
from forecasting.config.series import Series
from forecasting.config.source import FileSource
from forecasting.errors import ConfigError, SourceError
from forecasting.inspection.inspect import inspect
from forecasting.sources import file
from forecasting.sources.parsing.remote import given

SERIES = Series(freq="h")
TABLE = pd.DataFrame(
    {"unique_id": "a", "ds": pd.date_range("2026-01-01", periods=72, freq="h"), "y": [float(i % 24) for i in range(72)]}
)
CSV = TABLE.to_csv(index=False).encode()


class Web(BaseHTTPRequestHandler):
    """A server of a few files, one of which asks for a password, moves, breaks off, or never ends."""

    def do_GET(self) -> None:
        """Answer."""
        content = {
            "/a.csv": CSV,
            "/a.csv.gz": gzip.compress(CSV),
            "/export": CSV,
            "/table": parquet(),
            "/bad.csv": b"x\n1\n",
        }
        path = self.path.partition("?")[0]
        if path == "/moved.csv":
            self.answer(302, b"", location="/a.csv")
        elif path == "/secret.csv" and self.headers.get("Authorization") != "Basic bWU6cGFzcw==":
            self.answer(401, b"")
        elif path == "/short.csv":
            self.answer(200, CSV, length=len(CSV) + 1)
        elif path == "/export":
            self.answer(200, CSV, **{"content-disposition": 'attachment; filename="readings.csv"'})
        elif path == "/table":
            self.answer(200, parquet(), **{"content-type": "application/vnd.apache.parquet"})
        elif path == "/endless.csv":
            self.answer(200, CSV * 400, length=None)
        else:
            found = content.get("/a.csv" if path == "/secret.csv" else path)
            self.answer(404 if found is None else 200, found or b"")

    def answer(self, status: int, body: bytes, length: int | None = -1, **headers: str) -> None:
        """Send it, with the length that is claimed."""
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length < 0 else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def parquet() -> bytes:
    """The table as a Parquet file."""
    buffer = io.BytesIO()
    TABLE.to_parquet(buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """The address of the web server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """The address of an object store with a bucket."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The bucket, filled as by another program; addresses and credentials come from the environment."""
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    keys = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**keys, "AWS_ENDPOINT_URL": store, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=store)
    client.create_bucket(Bucket="plant")
    for name in ("a", "b"):
        body = TABLE.assign(unique_id=name).to_csv(index=False).encode()
        client.put_object(Bucket="plant", Key=f"readings/{name}.csv", Body=body)
    client.put_object(Bucket="plant", Key="readings/old/c.csv", Body=CSV)
    client.put_object(Bucket="plant", Key="table.parquet", Body=parquet())
    return "s3://plant"


def read(path: str, **more: Any) -> pd.DataFrame:
    """The long table of a job's source."""
    return file.read(FileSource.model_validate({"path": path, **more}), SERIES, "job")


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv?from=2026", "export", "table", "moved.csv"])
def test_a_file_at_a_web_address_is_read_like_one_on_disk(web: str, name: str, tmp_path: Path) -> None:
    """Plain, packed, behind a redirect, and where only the answer says which format it is."""
    (tmp_path / "a.csv").write_bytes(CSV)
    assert_frame_equal(read(f"{web}/{name}"), read(str(tmp_path / "a.csv")))


@pytest.mark.parametrize(
    ("path", "more", "message"),
    [
        ("/none.csv", {}, "{web}/none.csv answers 404 Not Found$"),
        ("/secret.csv", {}, "answers 401 Unauthorized; give user and password in ~/.netrc"),
        ("/short.csv", {}, "cannot fetch {web}/short.csv: peer closed connection"),
        ("/a.csv", {"max_mb": 0.001}, r"{web}/a.csv has 0.0 MB, more than source.max_mb: 0.001"),
        ("/endless.csv", {"max_mb": 0.5}, "{web}/endless.csv has more than source.max_mb: 0.5 MB"),
        ("/bad.csv", {}, "{web}/bad.csv has no column ds"),
        ("/none", {}, "answers 404"),
    ],
)
def test_what_cannot_be_fetched_is_one_sentence(web: str, path: str, more: dict[str, Any], message: str) -> None:
    """The status, the size, or what is wrong with the file, under its address."""
    with pytest.raises(SourceError, match=message.format(web=web)):
        read(web + path, **more)


def test_a_host_that_is_not_there_is_named() -> None:
    """With the reason of the connection."""
    with pytest.raises(SourceError, match=r"the host of http://127.0.0.1:1/a.csv cannot be reached: "):
        read("http://127.0.0.1:1/a.csv")


def test_secrets_come_from_the_environment_and_stay_out_of_messages(
    web: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From variables in the address or a netrc file; a password in the YAML is refused."""
    address = web.replace("://", "://${WEB_USER}:${WEB_PASSWORD}@")
    monkeypatch.setenv("WEB_USER", "me")
    monkeypatch.setenv("WEB_PASSWORD", "pass")
    assert len(read(f"{address}/secret.csv")) == 72
    monkeypatch.setenv("WEB_PASSWORD", "wr0ng-password")
    with pytest.raises(SourceError, match="401") as refused:
        read(f"{address}/secret.csv")
    assert "wr0ng-password" not in str(refused.value)

    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password pass\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert len(read(f"{web}/secret.csv")) == 72
    content = {"name": "job", "source": {"kind": "file", "path": "https://me:pass@host/a.csv"}, "series": {"freq": "h"}}
    with pytest.raises(ConfigError, match=r"source.path: must hold no password: keep it in the environment"):
        parse_job({**content, "window": {"horizon": 2}})


def test_objects_of_a_store_are_read_alone_and_by_glob(bucket: str, tmp_path: Path) -> None:
    """A star stays within its folder, two stars do not."""
    (tmp_path / "a.csv").write_bytes(CSV)
    expected = read(str(tmp_path / "a.csv"))
    assert_frame_equal(read(f"{bucket}/readings/a.csv"), expected)
    assert_frame_equal(read(f"{bucket}/table.parquet"), expected)
    assert read(f"{bucket}/readings/*.csv")["unique_id"].unique().tolist() == ["a", "b"]
    with given(f"{bucket}/**/*.csv", most=1) as files:
        assert [one.name for one in files] == [f"{bucket}/readings/{name}.csv" for name in ("a", "b", "old/c")]
        paths = [one.path for one in files]
        assert all(path.is_file() for path in paths)
    assert not any(path.exists() for path in paths)


def test_objects_that_cannot_be_read_are_one_sentence(bucket: str, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No object, no bucket, too large, no access, no host."""
    import httpx

    for path in ("none.csv", "none/*.csv"):
        with pytest.raises(SourceError, match=rf"there is no object {bucket}/"):
            read(f"{bucket}/{path}")
    with pytest.raises(SourceError, match=r"there is no object s3://other/a.csv"):
        read("s3://other/a.csv")
    with pytest.raises(SourceError, match=r"s3://plant/readings/a.csv has 0.0 MB, more than source.max_mb: 0.001"):
        read(f"{bucket}/readings/a.csv", max_mb=0.001)
    httpx.post(f"{store}/moto-api/reset-auth", content=b"0")
    try:
        with pytest.raises(SourceError, match="access is denied; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
            read(f"{bucket}/readings/a.csv")
    finally:
        httpx.post(f"{store}/moto-api/reset-auth", content=b"inf")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(SourceError, match=r"cannot fetch s3://plant/readings/a.csv: the host cannot be reached"):
        read(f"{bucket}/readings/a.csv")


def test_a_file_at_an_address_is_inspected(web: str, bucket: str) -> None:
    """The job that is written reads it from there."""
    for target in (f"{web}/a.csv", f"{bucket}/readings/b.csv"):
        found = inspect(target)
        written = yaml.safe_load(found.yaml())
        assert written["source"]["path"] == target
        assert written["name"] == target.rpartition("/")[2][0]
        assert len(found.table) == 72
        assert found.errors == ()
