"""API keys: only their hashes are kept, each may do what its scopes say, comparison takes the same time for all."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from forecasting.config.settings import ServeSettings
from forecasting.errors import ConfigError
from forecasting.serve.errors import ServiceError

__all__ = ["Key", "Keys", "NewKey", "Scope", "new_key"]

Scope = Literal["read", "forecast", "admin"]


class Key(BaseModel):
    """One key: a name for the logs, the SHA-256 of the key, and what it may do (admin may do all)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: frozenset[Scope] = Field(min_length=1)


class NewKey(NamedTuple):
    """A key that was just made: the secret for its owner, and what the service is given."""

    secret: str
    entry: Key


def new_key(name: str, scopes: Iterable[str]) -> NewKey:
    """A random key of 256 bits; raises ConfigError for a name or scope that cannot be."""
    secret = f"gc_{secrets.token_urlsafe(32)}"
    try:
        return NewKey(secret, Key.model_validate({"name": name, "sha256": _hash(secret), "scopes": set(scopes)}))
    except ValidationError as error:
        raise ConfigError("no such key can be made: " + "; ".join(_faults(error))) from None


class Keys:
    """The configured keys. Without any, everyone may read and forecast, and nobody may administrate."""

    def __init__(self, settings: ServeSettings) -> None:
        text = settings.keys.get_secret_value() if settings.keys else None
        if settings.keys_file is not None:
            if text is not None:
                raise ConfigError("give the API keys or a file of them, not both")
            try:
                text = settings.keys_file.read_bytes().decode("utf-8", "replace")
            except OSError as error:
                raise ConfigError(f"the file of API keys cannot be read: {error.strerror}") from error
        try:
            self._keys = TypeAdapter(tuple[Key, ...]).validate_json(text or "[]")
        except ValidationError as error:
            raise ConfigError("the API keys cannot be read: " + "; ".join(_faults(error))) from None
        if text is not None and not self._keys:
            raise ConfigError("the list of API keys is empty; name none to let everyone read and forecast")
        if len({key.name for key in self._keys}) < len(self._keys):
            raise ConfigError("two API keys have one name")

    @property
    def open(self) -> bool:
        """Whether no key is configured."""
        return not self._keys

    def check(self, given: str | None, scope: Scope) -> str:
        """The name of the key; raises ServiceError 401 without a valid key, 403 where it may not do that."""
        if self.open and scope != "admin":
            return "anyone"
        if self.open:
            raise ServiceError(403, "forbidden", "no API key is configured, and administration needs one")
        key = self._find(given or "")
        if key is None:
            headers = {"WWW-Authenticate": 'Bearer realm="gatecast"'}
            raise ServiceError(401, "unauthenticated", "give a valid API key as a bearer token", headers=headers)
        if not key.scopes & {scope, "admin"}:
            raise ServiceError(403, "forbidden", f"this API key has no scope {scope}")
        return key.name

    def _find(self, given: str) -> Key | None:
        digest = _hash(given)
        found = None
        for key in self._keys:  # all of them: the time taken says nothing
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _faults(error: ValidationError) -> list[str]:
    """One sentence for each, without what was given."""
    return [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_input=False)]
