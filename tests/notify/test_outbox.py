"""The outbox: every message once at every sink that wants it, a bounded number of tries, and never an error."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecasting.config.job import Job
from forecasting.errors import ConfigError
from forecasting.notify.message import Message
from forecasting.notify.outbox import TRIES, deliver, history, sinks_of, try_out
from forecasting.storage.store import Store
from tests.notify.sinks import HttpSink, SmtpSink, serving


def message(key: str = "failed/ingest/1", **named: Any) -> Message:
    """A message about the job."""
    return Message(**{"key": key, "job": "job", "event": "failed", "title": "it failed", "text": "no source", **named})


def test_webhook_is_sent_the_message_once(
    http: HttpSink, store: Store, telling: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """JSON with its facts, the token of a file as a header; a repeated flow sends nothing, another message does."""
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setenv("ALERTS_TOKEN_FILE", str(tmp_path / "token"))
    job = telling(webhook={"url": f"{http.url}/hook", "token": "${ALERTS_TOKEN}"})
    for _ in range(2):
        deliver(store, job, [message(facts={"flow": "ingest"})])
    [request] = http.requests
    assert (request.path, request.headers["Authorization"]) == ("/hook", "Bearer s3cret")
    assert request.content == message(facts={"flow": "ingest"}).model_dump()
    deliver(store, job, [message("failed/ingest/2")])
    assert len(http.requests) == 2
    assert http.requests[0].headers["Idempotency-Key"] != http.requests[1].headers["Idempotency-Key"]
    assert [one.state for one in history(store, "job")] == ["sent", "sent"]


def test_slack_reads_no_markup_in_a_message(
    http: HttpSink, store: Store, telling: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The three signs that Slack takes for its own are escaped, so that nobody is called by `<!channel>`."""
    monkeypatch.setenv("SLACK_WEBHOOK", http.url)
    deliver(store, telling(slack={"url": "${SLACK_WEBHOOK}"}), [message(text="a < b & <!channel>")])
    assert http.requests[0].content == {"text": "*it failed*\na &lt; b &amp; &lt;!channel&gt;"}


def test_mail_is_encrypted_and_signed_in(
    store: Store, telling: Callable[..., Job], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STARTTLS with a certificate that is checked, then the account, then one mail with a name of its own."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    mail = {"host": "localhost", "sender": "gatecast@example.com", "to": ["a@example.com", "b@example.com"]}
    account = {"user": "gatecast", "password": "${SMTP_PASSWORD}"}
    with serving(SmtpSink(str(certificate), ("gatecast", "password"))) as sink:
        monkeypatch.setenv("SMTP_PASSWORD", "password")
        deliver(store, telling(mail={**mail, **account, "port": sink.port}), [message(title="it\nfailed")])
    [sent] = sink.mails
    assert (sent["Subject"], sent["From"]) == ("it failed", "gatecast@example.com")
    assert sent["To"] == "a@example.com, b@example.com"
    assert sent.get_payload().strip() == "no source"
    assert sent["Message-ID"].endswith("@gatecast>")


@pytest.mark.parametrize(
    ("fault", "state", "why"),
    [
        ("a certificate that nobody knows", "waiting", "the mail server does not answer (SSLCertVerificationError)"),
        ("another password", "failed", "the mail server answers 535"),
        ("nobody of that name", "failed", "the mail server refuses the addresses a@example.com"),
    ],
)
def test_mail_that_is_not_taken_says_why(
    fault: str, state: str, why: str, store: Store, telling: Callable[..., Job], certificate: Path, monkeypatch: Any
) -> None:
    """A reason without address of the server or password; only what may pass is tried again."""
    if fault != "a certificate that nobody knows":
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("SMTP_PASSWORD", "wrong" if fault == "another password" else "password")
    mail = {"host": "localhost", "sender": "gatecast@example.com", "to": ["a@example.com"], "user": "gatecast"}
    with serving(SmtpSink(str(certificate), ("gatecast", "password"))) as sink:
        sink.refused = {"a@example.com"} if fault == "nobody of that name" else set()
        job = telling(mail={**mail, "password": "${SMTP_PASSWORD}", "port": sink.port})
        deliver(store, job, [message()])
    [posted] = history(store, "job")
    assert (posted.state, posted.why) == (state, why)
    assert sink.mails == []


def test_sink_that_is_down_is_tried_again_later(
    http: HttpSink, store: Store, telling: Callable[..., Job], caplog: pytest.LogCaptureFixture
) -> None:
    """Three tries, no error, a line in the log; the next delivery sends what waits before nothing of its own."""
    job = telling(webhook={"url": http.url})
    http.answers = [503, 429, 500]
    with caplog.at_level(logging.ERROR, "gatecast.notify"):
        deliver(store, job, [message(), message("failed/ingest/2")])
    assert len(http.requests) == 3  # the second message does not wait for a sink that is down
    assert [(one.state, one.why) for one in history(store, "job") if one.tries] == [("waiting", "the answer is 500")]
    assert "it failed not sent to webhook: the answer is 500" in caplog.text
    deliver(store, job, [])
    assert [request.content["key"] for request in http.requests[3:]] == ["failed/ingest/1", "failed/ingest/2"]
    assert {one.state for one in history(store, "job")} == {"sent"}


def test_tries_are_bounded(http: HttpSink, store: Store, telling: Callable[..., Job]) -> None:
    """A message is tried nine times in all, then it has failed; a sink that says no is not asked twice."""
    job = telling(webhook={"url": http.url})
    http.answers = [500] * 100
    for _ in range(5):
        deliver(store, job, [message()])
    assert len(http.requests) == TRIES
    assert [(one.state, one.tries) for one in history(store, "job")] == [("failed", TRIES)]
    http.answers = [404] * 100
    deliver(store, job, [message("other")])
    assert len(http.requests) == TRIES + 1


def test_message_of_yesterday_is_no_news(http: HttpSink, store: Store, telling: Callable[..., Job]) -> None:
    """What waited for more than a day is given up, and counted as failed."""
    job = telling(webhook={"url": http.url})
    http.answers = [500] * 3
    deliver(store, job, [message()])
    [posted] = history(store, "job")
    old = posted._replace(created=posted.created - pd.Timedelta(days=2))
    store.notices.keep("job", pd.DataFrame([old]))
    deliver(store, job, [])
    assert len(http.requests) == 3
    assert history(store, "job")[0].state == "failed"


def test_sink_hears_what_it_wants(http: HttpSink, store: Store, telling: Callable[..., Job]) -> None:
    """`about` names the events; a job that tells nobody keeps nothing."""
    deliver(store, telling(webhook={"url": http.url, "about": ["promoted"]}), [message()])
    deliver(store, telling(), [message()])
    assert (http.requests, history(store, "job")) == ([], [])


def test_broken_sink_leaves_the_others(
    http: HttpSink, store: Store, telling: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is not set is one reason; the webhook is sent the message all the same."""
    monkeypatch.delenv("SLACK_WEBHOOK", raising=False)
    deliver(store, telling(slack={"url": "${SLACK_WEBHOOK}"}, webhook={"url": http.url}), [message()])
    states = {one.sink: (one.state, one.why) for one in history(store, "job")}
    assert states["webhook"] == ("sent", "")
    assert "SLACK_WEBHOOK" in states["slack"][1]


def test_reasons_hold_no_address(store: Store, telling: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of a Slack channel is a secret: it stands neither in the table nor in the configuration."""
    monkeypatch.setenv("SLACK_WEBHOOK", "http://127.0.0.1:9/T0/secret")
    deliver(store, telling(slack={"url": "${SLACK_WEBHOOK}"}), [message()])
    assert "secret" not in store.notices.read("job").to_csv()


@pytest.mark.parametrize(
    ("sinks", "place"),
    [
        ({"slack": {"url": "https://hooks.slack.com/services/T0/B0/x"}}, "notify.slack.url"),
        ({"webhook": {"url": "https://x", "token": "abc"}}, "notify.webhook.token"),
        ({"mail": {"host": "h", "sender": "a", "to": ["b"], "user": "u", "password": "p"}}, "notify.mail.password"),
    ],
)
def test_secret_in_clear_text_is_refused(sinks: dict[str, Any], place: str, telling: Callable[..., Job]) -> None:
    """A YAML is no place for a secret, and the message does not repeat it."""
    with pytest.raises(ConfigError, match=place) as caught:
        telling(**sinks)
    assert "abc" not in str(caught.value)
    assert "T0" not in str(caught.value)


def test_file_of_all_jobs_stands_in(make_job: Callable[..., Job], telling: Callable[..., Job], tmp_path: Path) -> None:
    """`GATECAST_NOTIFY` counts for a job that says nothing; `notify: {}` is nobody; a wrong file lists its faults."""
    file = tmp_path / "notify.yaml"
    file.write_text("webhook: {url: https://example.com}\n")
    found = sinks_of(make_job(), file).webhook
    assert found is not None
    assert found.url == "https://example.com"
    assert sinks_of(telling(), file).webhook is None
    file.write_text("webhook: {urls: x}\nmale: {}\n")
    with pytest.raises(ConfigError, match=r"(?s)webhook\.urls.*male|male.*webhook\.urls"):
        sinks_of(make_job(), file)


def test_delivery_never_raises(make_job: Callable[..., Job], store: Store, tmp_path: Path, caplog: Any) -> None:
    """Not even where the file of sinks is gone: it says so in the log."""
    with caplog.at_level(logging.ERROR, "gatecast.notify"):
        assert deliver(store, make_job(), [message()], default=tmp_path / "gone.yaml") is None
    assert "gone.yaml" in caplog.text


def test_try_out_sends_each_time(http: HttpSink, store: Store, telling: Callable[..., Job]) -> None:
    """A test is sent whenever somebody asks for one, and leaves nothing behind."""
    job = telling(webhook={"url": http.url, "about": ["failed"]})
    assert [try_out(job, None)[0].state for _ in range(2)] == ["sent", "sent"]
    assert [request.content["event"] for request in http.requests] == ["test", "test"]
    assert history(store, "job") == []
