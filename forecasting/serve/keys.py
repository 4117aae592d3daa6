"""API keys: only their hashes are kept, each may do what its scopes say, comparison takes the same time for all."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.datastructures import Headers

from forecasting.config.settings import ServeSettings
from forecasting.errors import ConfigError
from forecasting.serve.errors import ServiceError

__all__ = ["Holder", "Key", "Keys", "NewKey", "Scope", "key_in", "new_key"]

log = logging.getLogger("gatecast.serve")

_LOOK: Final = 1.0  # seconds between two looks at the file of keys

_ANYONE: Final = ("read", "forecast")  # scopes of everybody where no key is configured

Scope = Literal["read", "forecast", "write", "admin"]


class Key(BaseModel):
    """One key: a name for the logs, the SHA-256 of the key, what it may do, with which models, and until when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: frozenset[Scope] = Field(min_length=1)  # admin may do all
    models: frozenset[str] | None = Field(None, min_length=1)  # none: all of them
    expires: AwareDatetime | None = None


class Holder(NamedTuple):
    """Who asks, and the models that exist for them; none: all."""

    name: str
    models: frozenset[str] | None = None


class NewKey(NamedTuple):
    """A key that was just made: the secret for its owner, and what the service is given."""

    secret: str
    entry: Key


def new_key(name: str, scopes: Iterable[str], *, models: Iterable[str] = (), expires: datetime | None = None) -> NewKey:
    """A random key of 256 bits; raises ConfigError for a name or scope that cannot be."""
    secret = f"gc_{secrets.token_urlsafe(32)}"
    entry = {"name": name, "sha256": _hash(secret), "scopes": set(scopes), "models": set(models) or None}
    try:
        return NewKey(secret, Key.model_validate({**entry, "expires": expires}))
    except ValidationError as error:
        raise ConfigError("no such key can be made: " + "; ".join(_faults(error))) from None


def key_in(headers: Headers) -> str | None:
    """The key that a request carries, as a bearer token or as X-API-Key."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    return given if kind.lower() == "bearer" else headers.get("x-api-key")


class Keys:
    """The configured keys. Without any, everyone may read and forecast, and nobody may write or administrate.

    A file of keys is read again when it changes, so that a key can be withdrawn at once; where it cannot be read then,
    the keys of before stay.
    """

    def __init__(self, settings: ServeSettings) -> None:
        text = settings.keys.get_secret_value() if settings.keys else None
        if settings.keys_file is not None and text is not None:
            raise ConfigError("give the API keys or a file of them, not both")
        self._file = settings.keys_file
        self._looked, self._seen = time.monotonic(), _stamp(self._file)
        self._keys = _parsed(text) if self._file is None else _read(self._file)

    @property
    def open(self) -> bool:
        """Whether no key is configured."""
        return not self._keys

    def check(self, given: str | None, scope: Scope) -> Holder:
        """The owner of the key; raises ServiceError 401 without a valid key, 403 where it may not do that."""
        if self.open and scope in _ANYONE:
            return Holder("anyone")
        if self.open:
            what = "administration" if scope == "admin" else "sending readings"
            raise ServiceError(403, "forbidden", f"no API key is configured, and {what} needs one")
        key = self.identify(given)
        if not key.scopes & {scope, "admin"}:
            raise ServiceError(403, "forbidden", f"this API key has no scope {scope}")
        return Holder(key.name, key.models)

    def identify(self, given: str | None) -> Key:
        """The key that was given; raises ServiceError 401 where it is none of the configured, or has expired."""
        self._follow()
        digest, found = _hash(given or ""), None
        for key in self._keys:  # all of them: the time taken says nothing
            if hmac.compare_digest(key.sha256, digest):
                found = key
        if found is None or (found.expires is not None and found.expires <= datetime.now(UTC)):
            text = "give a valid API key as a bearer token" if found is None else "this API key has expired"
            headers = {"WWW-Authenticate": 'Bearer realm="gatecast"'}
            raise ServiceError(401, "unauthenticated", text, headers=headers)
        return found

    def _follow(self) -> None:
        """Read the file again if it has changed; it is looked at once a second."""
        if self._file is None or time.monotonic() < self._looked + _LOOK:
            return
        self._looked = time.monotonic()
        stamp = _stamp(self._file)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._keys = _read(self._file)
            log.info("keys read again", extra={"keys": len(self._keys)})
        except ConfigError as error:
            log.error("keys not read again", extra={"reason": str(error)})


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    """What changes when a file is written or another takes its place; none where there is no file."""
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None


def _read(file: Path) -> tuple[Key, ...]:
    try:
        return _parsed(file.read_bytes().decode("utf-8", "replace"))
    except OSError as error:
        raise ConfigError(f"the file of API keys cannot be read: {error.strerror}") from error


def _parsed(text: str | None) -> tuple[Key, ...]:
    try:
        keys = TypeAdapter(tuple[Key, ...]).validate_json(text or "[]")
    except ValidationError as error:
        raise ConfigError("the API keys cannot be read: " + "; ".join(_faults(error))) from None
    if text is not None and not keys:
        raise ConfigError("the list of API keys is empty; name none to let everyone read and forecast")
    if len({key.name for key in keys}) < len(keys):
        raise ConfigError("two API keys have one name")
    return keys


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _faults(error: ValidationError) -> list[str]:
    """One sentence for each, without what was given."""
    return [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_input=False)]
