"""One sender for each kind of sink: it sends a message, or raises SendError with a reason that holds no secret."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any, Final

import httpx

from forecasting.config.notify import Mail, Slack, Webhook
from forecasting.notify.message import Message
from forecasting.runtime.environment import expand

__all__ = ["SENDERS", "SendError"]

_SECONDS: Final = 10.0  # that a server may take to answer
_BUSY: Final = 429
_BROKEN: Final = 500


class SendError(Exception):
    """A sink did not take a message, and whether it may take it later; the text names no address and no secret."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


def _webhook(sink: Webhook, message: Message) -> None:
    headers = {"Idempotency-Key": digest_of(message)}
    if sink.token is not None:
        headers["Authorization"] = f"Bearer {expand(sink.token, key='notify.webhook.token')}"
    _post(expand(sink.url, key="notify.webhook.url"), message.model_dump(mode="json"), headers)


def _slack(sink: Slack, message: Message) -> None:
    title, text = (_as_slack(part) for part in (message.title, message.text))
    _post(expand(sink.url, key="notify.slack.url"), {"text": f"*{title}*\n{text}"}, {})


def _mail(sink: Mail, message: Message) -> None:
    user, password = (
        None if value is None else expand(value, key=f"notify.mail.{name}")
        for name, value in (("user", sink.user), ("password", sink.password))
    )
    content = EmailMessage()
    content["Subject"] = " ".join(message.title.split())
    content["From"], content["To"] = sink.sender, ", ".join(sink.to)
    content["Message-ID"] = f"<{digest_of(message)}@gatecast>"  # a second copy is the same mail
    content.set_content(message.text)
    try:
        with _connected(sink) as server:
            if sink.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if user is not None and password is not None:
                server.login(user, password)
            server.send_message(content)
    except smtplib.SMTPRecipientsRefused as error:
        raise SendError(f"the mail server refuses the addresses {', '.join(error.recipients)}", again=False) from error
    except smtplib.SMTPResponseException as error:
        again = 400 <= error.smtp_code < _BROKEN
        raise SendError(f"the mail server answers {error.smtp_code}", again=again) from error
    except (OSError, smtplib.SMTPException) as error:
        raise SendError(f"the mail server does not answer ({type(error).__name__})", again=True) from error


def _connected(sink: Mail) -> smtplib.SMTP:
    if sink.security == "tls":
        return smtplib.SMTP_SSL(sink.host, sink.port, timeout=_SECONDS, context=ssl.create_default_context())
    return smtplib.SMTP(sink.host, sink.port, timeout=_SECONDS)


def _post(url: str, content: dict[str, Any], headers: dict[str, str]) -> None:
    try:
        status = httpx.post(url, json=content, headers=headers, timeout=_SECONDS).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SendError(f"no answer ({type(error).__name__})", again=isinstance(error, httpx.TransportError)) from None
    if not 200 <= status < 300:
        raise SendError(f"the answer is {status}", again=status == _BUSY or status >= _BROKEN)


def _as_slack(text: str) -> str:
    """Slack reads three signs as its own: https://docs.slack.dev/messaging/formatting-message-text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def digest_of(message: Message) -> str:
    """A name for the message by which a receiver knows a second copy."""
    return hashlib.sha256(f"{message.job}\0{message.key}".encode()).hexdigest()[:32]


SENDERS: Final[dict[str, Callable[[Any, Message], None]]] = {"webhook": _webhook, "slack": _slack, "mail": _mail}
