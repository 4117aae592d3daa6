"""Who hears of what a job does by itself: the configuration of webhook, Slack, and mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import yaml
from pydantic import Field, ValidationError

from forecasting.config.section import Fault, Section, faults_of
from forecasting.errors import ConfigError

__all__ = ["SINKS", "Event", "Mail", "Notify", "Slack", "Webhook", "load_notify"]

Event: TypeAlias = Literal["promoted", "refused", "monitor", "anomaly", "failed"]
_ALL: Final[tuple[Event, ...]] = get_args(Event)
_REFERENCE: Final = re.compile(r"\$\{\w+\}")


def _comes_from_outside(name: str) -> Any:
    """A rule: this key holds a secret, which stands in no YAML."""

    def rule(sink: Any) -> Iterator[Fault]:
        value = getattr(sink, name)
        if value is not None and not _REFERENCE.fullmatch(value):
            yield Fault(
                name, "must be a variable such as ${NAME}, since it is a secret; set NAME, or NAME_FILE to a file"
            )

    return rule


def _password_is_encrypted(mail: Mail) -> Iterator[Fault]:
    if mail.password is not None and mail.security == "none":
        yield Fault("security", "a password needs starttls or tls, got none")


def _password_has_its_user(mail: Mail) -> Iterator[Fault]:
    if (mail.user is None) != (mail.password is None):
        yield Fault("user", "user and password go together; set both, or neither")


class Webhook(Section):
    """An address that takes messages as JSON."""

    RULES = (_comes_from_outside("token"),)

    url: str = Field(pattern=r"^(https?://|\$\{)", examples=["https://alerts.example.com/gatecast"])
    """The address; `${NAME}` is an environment variable, or what stands in the file that `NAME_FILE` names."""

    token: str | None = Field(None, examples=["${ALERTS_TOKEN}"])
    """A secret that is sent as `Authorization: Bearer`: `${NAME}`."""

    about: tuple[Event, ...] = _ALL
    """The messages to send."""


class Slack(Section):
    """A channel of Slack, or of whatever else takes its incoming webhooks, such as Mattermost."""

    RULES = (_comes_from_outside("url"),)

    url: str = Field(examples=["${SLACK_WEBHOOK}"])
    """The address of an incoming webhook, which is a secret: `${NAME}`."""

    about: tuple[Event, ...] = _ALL
    """The messages to send."""


class Mail(Section):
    """Mail by an SMTP server."""

    RULES = (_comes_from_outside("password"), _password_is_encrypted, _password_has_its_user)

    host: str = Field(examples=["smtp.example.com"])
    """The SMTP server."""

    port: int = Field(587, ge=1, le=65535)
    """Its port."""

    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted: `starttls` from its start on (port 587), `tls` throughout (port 465), or not."""

    user: str | None = None
    """The account; `${NAME}` is an environment variable."""

    password: str | None = Field(None, examples=["${SMTP_PASSWORD}"])
    """Its password: `${NAME}`."""

    sender: str = Field(examples=["gatecast@example.com"])
    """The address that messages come from."""

    to: tuple[str, ...] = Field(min_length=1, examples=[["team@example.com"]])
    """The addresses that messages go to."""

    about: tuple[Event, ...] = _ALL
    """The messages to send."""


class Notify(Section):
    """Who is told: [Notifications](monitoring.md#notifications)."""

    webhook: Webhook | None = None
    """An address that takes messages as JSON."""

    slack: Slack | None = None
    """A channel of Slack."""

    mail: Mail | None = None
    """Mail by an SMTP server."""


SINKS: Final[tuple[str, ...]] = tuple(Notify.model_fields)


def load_notify(path: Path) -> Notify:
    """Read the keys of `notify` from a YAML file of their own; raises ConfigError that lists every violation."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the file {path} of GATECAST_NOTIFY: {error}") from error
    try:
        return Notify.model_validate(content)
    except ValidationError as error:
        lines = "\n".join(f"  - {fault}" for fault in faults_of(error))
        raise ConfigError(f"{path}, the file of GATECAST_NOTIFY, is wrong:\n{lines}") from error
