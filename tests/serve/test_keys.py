"""API keys: hashes only, scopes, one answer for every wrong key, and the command that makes them."""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from forecasting.cli.main import app
from forecasting.config.settings import ServeSettings
from forecasting.errors import ConfigError
from forecasting.serve.errors import ServiceError
from forecasting.serve.keys import Keys, Scope, new_key


def keys_of(*entries: Any) -> Keys:
    """Keys as they are configured."""
    return Keys(ServeSettings(keys=json.dumps(entries)))


def entry(name: str = "someone", scopes: tuple[str, ...] = ("read",)) -> tuple[str, dict[str, Any]]:
    """A new key and its entry."""
    made = new_key(name, scopes)
    return made.secret, made.entry.model_dump(mode="json")


@pytest.mark.parametrize(
    ("scope", "may"), [("read", {"read"}), ("forecast", {"forecast"}), ("admin", {"read", "forecast", "admin"})]
)
def test_a_key_may_what_its_scope_says(scope: Scope, may: set[Scope]) -> None:
    """No more; admin may do all."""
    secret, configured = entry(scopes=(scope,))
    keys = keys_of(entry("other", ("admin",))[1], configured)
    for wanted in ("read", "forecast", "admin"):
        if wanted in may:
            assert keys.check(secret, wanted).name == "someone"
        else:
            with pytest.raises(ServiceError) as refused:
                keys.check(secret, wanted)
            assert refused.value.status == 403


@pytest.mark.parametrize("given", [None, "", "gc_wrong", "ünï\udcff", "x" * 100_000])
def test_without_a_valid_key_nothing_is_said(given: str | None) -> None:
    """401 with the scheme that is expected, the same sentence for all."""
    with pytest.raises(ServiceError, match="give a valid API key") as refused:
        keys_of(entry()[1]).check(given, "read")
    assert refused.value.status == 401
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_hash_is_no_key() -> None:
    """Who reads the configuration cannot use what stands there."""
    secret, configured = entry()
    assert configured["sha256"] == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in json.dumps(configured)
    with pytest.raises(ServiceError):
        keys_of(configured).check(configured["sha256"], "read")


def test_without_keys_nobody_administrates() -> None:
    """Everyone may read and forecast."""
    keys = Keys(ServeSettings())
    assert [keys.check(None, scope).name for scope in ("read", "forecast")] == ["anyone", "anyone"]
    with pytest.raises(ServiceError) as refused:
        keys.check(None, "admin")
    assert refused.value.status == 403


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '[{"name": "a"}]',
        '[{"name": "a", "sha256": "s3cr3t", "scopes": ["read"]}]',
        json.dumps([entry()[1] | {"scopes": ["root"]}]),
        json.dumps([entry()[1] | {"scopes": []}]),
        json.dumps([entry()[1] | {"name": "a b"}]),
        json.dumps([entry()[1], entry()[1]]),
        json.dumps([entry()[1] | {"secret": "s3cr3t"}]),
    ],
)
def test_keys_that_cannot_be_read_stop_the_start(content: str, tmp_path: Path) -> None:
    """From the environment or a file; an empty list opens nothing; what stood there is not repeated."""
    path = tmp_path / "keys.json"
    path.write_text(content, encoding="utf-8")
    for settings in (ServeSettings(keys=content), ServeSettings(keys_file=path)):
        with pytest.raises(ConfigError) as refused:
            Keys(settings)
        assert "s3cr3t" not in str(refused.value)


def test_a_missing_file_of_keys_stops_the_start(tmp_path: Path) -> None:
    """So do keys given twice over."""
    with pytest.raises(ConfigError, match="cannot be read"):
        Keys(ServeSettings(keys_file=tmp_path / "none"))
    with pytest.raises(ConfigError, match="not both"):
        Keys(ServeSettings(keys_file=tmp_path / "none", keys="[]"))


def test_the_command_makes_keys_that_work() -> None:
    """The secret is shown once; a wrong scope is one sentence."""
    shown = CliRunner().invoke(app, ["keys", "new", "ci", "--scope", "read", "--scope", "forecast", "--json"])
    made = json.loads(shown.stdout)
    assert keys_of(made["entry"]).check(made["secret"], "forecast").name == "ci"
    narrow = CliRunner().invoke(
        app, ["keys", "new", "ci", "--scope", "read", "--model", "a", "--model", "b", "--days", "30", "--json"]
    )
    made = json.loads(narrow.stdout)
    assert keys_of(made["entry"]).check(made["secret"], "read").models == {"a", "b"}
    assert "expires" in made["entry"]
    assert "gc_" in CliRunner().invoke(app, ["keys", "new", "ci", "--scope", "read"]).stdout
    wrong = CliRunner().invoke(app, ["keys", "new", "c i", "--scope", "root"])
    assert isinstance(wrong.exception, ConfigError)


def test_routes_ask_for_keys(
    service: Any, copied: Path, make_keys: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Both headers work, each route wants its scope, and no secret is ever in a log."""
    configured, secrets = make_keys("read", "forecast", "admin")
    caplog.set_level(logging.DEBUG)
    with service(copied, keys=configured) as client:
        assert client.get("/v1/models").status_code == 401
        assert client.get("/v1/models", headers={"X-API-Key": secrets["read"]}).status_code == 200
        as_read = {"Authorization": f"Bearer {secrets['read']}"}
        assert client.get("/v1/models", headers=as_read).status_code == 200
        assert client.post("/v1/forecast", {}, headers=as_read).status_code == 403
        as_forecast = {"Authorization": f"bearer {secrets['forecast']}"}
        assert client.post("/v1/forecast", {"name": "buoy"}, headers=as_forecast).status_code == 422
        assert client.post("/v1/models/buoy/reload", headers=as_forecast).status_code == 403
        as_admin = {"Authorization": f"Bearer {secrets['admin']}"}
        assert client.post("/v1/models/buoy/reload", headers=as_admin).status_code == 200
        assert client.get("/healthz").status_code == 200
    told = "\n".join(json.dumps(vars(record), default=str) for record in caplog.records)
    assert "read-key" in told
    assert not any(secret in told for secret in secrets.values())


def test_a_key_ends_when_it_says() -> None:
    """With its own sentence, on every route; without a time zone it is no time."""
    secret, configured = entry()
    past, ahead = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00+01:00"
    assert keys_of(configured | {"expires": ahead}).check(secret, "read").name == "someone"
    with pytest.raises(ServiceError, match="has expired") as refused:
        keys_of(configured | {"expires": past}).check(secret, "read")
    assert refused.value.status == 401
    with pytest.raises(ConfigError, match="timezone"):
        keys_of(configured | {"expires": "2999-01-01T00:00:00"})


def test_keys_are_withdrawn_without_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changed is read again; one that is broken or gone changes nothing, and says so in the log."""
    monkeypatch.setattr("forecasting.serve.keys._LOOK", 0.0)
    (old, first), (new, second) = entry("old"), entry("new")
    path = tmp_path / "keys.json"
    path.write_text(json.dumps([first]), encoding="utf-8")
    keys = Keys(ServeSettings(keys_file=path))
    assert keys.check(old, "read").name == "old"
    path.write_text(json.dumps([second]), encoding="utf-8")
    assert keys.check(new, "read").name == "new"
    for break_it in (lambda: path.write_text("[]"), lambda: path.write_text("{"), path.unlink):
        break_it()
        assert keys.check(new, "read").name == "new"
        with pytest.raises(ServiceError, match="valid API key"):
            keys.check(old, "read")


def test_a_key_of_one_model_knows_no_other(service: Any, copied: Path) -> None:
    """No route answers for others, lists them or names them in a refusal."""
    made = new_key("one", ["read", "forecast"], models=["buoy"])
    setting = json.dumps([made.entry.model_dump(mode="json")])
    key = {"X-API-Key": made.secret}
    with service(copied, keys=setting, timeout_seconds=60) as client:
        listed = client.get("/v1/models", headers=key)
        assert [model["name"] for model in listed.json()["models"]] == ["buoy"]
        assert client.get("/v1/models/buoy/versions", headers=key).status_code == 200
        refused = [
            client.get("/v1/models/farm/versions", headers=key),
            client.get("/v2/models/farm", headers=key),
            client.get("/v1/series/farm", headers=key),
            client.get("/v1/vintages?name=farm", headers=key),
            client.post("/v1/forecast", {"name": "farm"}, headers=key),
            client.post("/invocations/farm", {}, headers=key),
            client.get("/?model=farm", headers=key),
            client.post("/upload?model=farm", b"", headers=key | {"content-type": "text/csv"}),
        ]
        assert {answer.status_code for answer in refused} == {404}
        pages = [client.get(path, headers=key).text for path in ("/", "/versions", "/accuracy", "/upload")]
        shown = [answer.text for answer in (listed, *refused)] + pages
        assert not [text for text in shown if "farm" in text.replace("model=farm", "")]
        assert client.post("/v1/forecast", {}, headers=key).json()["error"]["code"] == "invalid_request"


def test_who_has_no_key_is_told_so_before_anything_else(service: Any, copied: Path, make_keys: Any) -> None:
    """Not what is wrong with the parameters of a request that is not theirs."""
    with service(copied, keys=make_keys("read")[0]) as client:
        for path in ("/v1/history?name=x&unique_id=a&n=many", "/v1/vintages?limit=-1", "/v1/scores?by=x"):
            assert client.get(path).status_code == 401
        assert client.post("/upload?h=x").status_code == 401
