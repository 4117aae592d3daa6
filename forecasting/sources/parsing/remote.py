"""Files at a URL: fetched whole into a scratch folder, within bounds, and one sentence where that cannot be."""

from __future__ import annotations

import fnmatch
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from forecasting.errors import SourceError, no_space
from forecasting.runtime.environment import expand
from forecasting.sources.parsing.paths import matching

__all__ = ["Given", "given", "is_remote"]

_SCHEMES: Final = ("http://", "https://", "s3://")
_CHUNK: Final = 1 << 20  # bytes
_CONNECT, _READ = 10.0, 60.0  # seconds: to a connection, and from one piece to the next
_MEDIA: Final = {  # of addresses whose path has no ending
    "text/csv": ".csv",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/vnd.apache.parquet": ".parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}
_REFUSED: Final = (401, 403, 407)
_LOGIN: Final = "give user and password in ~/.netrc, or as https://${USER}:${PASSWORD}@… from the environment"
_KEYS: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


class Given(NamedTuple):
    """A file to read, and the name under which its user knows it."""

    name: str
    path: Path

    @contextmanager
    def named(self) -> Iterator[Path]:
        """The path; errors of reading it call it by its name."""
        try:
            yield self.path
        except SourceError as error:
            raise SourceError(str(error).replace(str(self.path), self.name)) from error


def is_remote(pattern: str) -> bool:
    """Whether a path is the URL of a file."""
    return pattern.startswith(_SCHEMES)


@contextmanager
def given(patterns: str | tuple[str, ...], *, most: float, key: str = "source.path") -> Iterator[list[Given]]:
    """The files of globs and URLs; those of URLs are fetched first, up to `most` megabytes each, and gone afterwards.

    Raises SourceError for a glob that matches nothing, and for what cannot be fetched: status, host, credentials, size.
    """
    with tempfile.TemporaryDirectory(prefix="gatecast-") as scratch:
        found: list[Given] = []
        for number, pattern in enumerate([patterns] if isinstance(patterns, str) else patterns):
            if is_remote(pattern):
                found += _fetched(pattern, expand(pattern, key=key), Path(scratch, str(number)), most * 1e6)
            else:
                found += [Given(str(path), path) for path in matching(pattern, key=key)]
        yield list({one.name: one for one in found}.values())


def _fetched(shown: str, url: str, folder: Path, most: float) -> list[Given]:
    """The files of a URL; messages have `shown`, in which secrets are names of variables."""
    folder.mkdir()
    try:
        return _from_s3(shown, url, folder, most) if url.startswith("s3://") else [_from_web(shown, url, folder, most)]
    except OSError as error:
        raise no_space(error) or SourceError(f"cannot fetch {shown}: {_reason(error)}") from error


def _from_web(shown: str, url: str, folder: Path, most: float) -> Given:
    import httpx

    timeout = httpx.Timeout(_READ, connect=_CONNECT)
    headers = {"Accept-Encoding": "identity", "User-Agent": "gatecast"}  # a packed file stays as it is
    try:
        with httpx.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True, auth=_netrc()) as answer:
            if not answer.is_success:
                hint = f"; {_LOGIN}" if answer.status_code in _REFUSED else ""
                raise SourceError(f"{shown} answers {answer.status_code} {answer.reason_phrase}{hint}")
            path = folder / _file_name(url, answer.headers)
            _check_size(shown, int(answer.headers.get("content-length", 0)), most)
            _write(shown, answer.iter_bytes(_CHUNK), path, most)
    except httpx.TimeoutException as error:
        raise SourceError(f"{shown} does not answer within {_READ:g} s") from error
    except httpx.ConnectError as error:
        raise SourceError(f"the host of {shown} cannot be reached: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceError(f"cannot fetch {shown}: {str(error) or type(error).__name__}") from error
    return Given(shown, path)


def _netrc() -> Any:
    import httpx

    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    return httpx.NetRCAuth(str(path)) if path.is_file() else None


def _file_name(url: str, headers: Any) -> str:
    """A name whose ending says the format: that of the path, of the attachment, or of the type of content."""
    named = re.search(r'filename="?([^";]+)', headers.get("content-disposition", ""))
    for name in (PurePosixPath(unquote(urlsplit(url).path)).name, named[1] if named else ""):
        if PurePosixPath(name).suffix:
            return PurePosixPath(name).name
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    return f"file{_MEDIA.get(media, '')}"


def _from_s3(shown: str, url: str, folder: Path, most: float) -> list[Given]:
    import pyarrow.fs

    place, found = url.removeprefix("s3://"), []
    system = _s3(place.partition("/")[0])
    names = _matching(system, place)
    if not names:
        raise SourceError(f"there is no object {shown}")
    for number, name in enumerate(names):
        info = system.get_file_info(name)
        if info.type != pyarrow.fs.FileType.File:
            raise SourceError(f"there is no object {shown}")
        _check_size(f"s3://{name}", info.size, most)
        path = folder / str(number) / PurePosixPath(name).name
        path.parent.mkdir()
        with system.open_input_stream(name) as stream:
            _write(f"s3://{name}", iter(partial(stream.read, _CHUNK), b""), path, most)
        found.append(Given(shown if names == [place] else f"s3://{name}", path))
    return found


def _s3(bucket: str) -> Any:
    """The object store, with address, region, and credentials from the environment, as AWS's own tools take them."""
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not endpoint and not region:
        region = resolve_s3_region(bucket)
    return S3FileSystem(
        endpoint_override=endpoint,
        region=region,
        connect_timeout=_CONNECT,
        request_timeout=_READ,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=3),
    )


def _matching(system: Any, pattern: str) -> list[str]:
    """The objects of a glob, in order; `*` stays within a folder, `**` does not."""
    from pyarrow.fs import FileSelector, FileType

    plain = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    if plain == pattern:
        return [pattern]
    selector = FileSelector(plain.rpartition("/")[0], recursive=True, allow_not_found=True)
    names = [info.path for info in system.get_file_info(selector) if info.type == FileType.File]
    deep = "**" in pattern
    return sorted(
        name for name in names if fnmatch.fnmatchcase(name, pattern) and (deep or name.count("/") == pattern.count("/"))
    )


def _check_size(shown: str, size: int | None, most: float) -> None:
    if (size or 0) > most:
        raise SourceError(f"{shown} has {(size or 0) / 1e6:,.1f} MB, more than source.max_mb: {most / 1e6:g}")


def _write(shown: str, pieces: Iterable[bytes], path: Path, most: float) -> None:
    """All pieces as a file that appears whole."""
    draft, size = path.with_name(f"{path.name}.part"), 0
    with draft.open("wb") as file:
        for piece in pieces:
            size += len(piece)
            if size > most:
                raise SourceError(f"{shown} has more than source.max_mb: {most / 1e6:g} MB")
            file.write(piece)
    draft.replace(path)


def _reason(error: OSError) -> str:
    """What an object store says, in a sentence."""
    text = " ".join(str(error).split())
    if "NETWORK_CONNECTION" in text:
        return f"the host cannot be reached ({text.rpartition('Details: ')[2]})"
    if re.search(
        r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|INVALID_CLIENT_TOKEN|UNRECOGNIZED_CLIENT|HTTP status 40[13]", text
    ):
        return f"access is denied; {_KEYS}"
    return text
