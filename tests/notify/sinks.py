"""Sinks of messages on this machine: an HTTP server, and an SMTP server with STARTTLS and accounts."""

from __future__ import annotations

import base64
import email
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import Message as Mail
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Request(NamedTuple):
    """What an HTTP sink was sent."""

    path: str
    headers: dict[str, str]
    content: dict[str, Any]


class HttpSink:
    """Takes messages as JSON, and answers what it is told to answer, first things first; 200 after that."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[int] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.requests.append(Request(self.path, dict(self.headers), json.loads(body)))
                self.send_response(sink.answers.pop(0) if sink.answers else 200)
                self.end_headers()

            def log_message(self, *arguments: Any) -> None: ...

        return Handler


class SmtpSink:
    """Takes mail; with a certificate it wants STARTTLS and an account before anything else."""

    def __init__(self, certificate: str | None = None, account: tuple[str, str] | None = None) -> None:
        self.mails: list[Mail] = []
        self.accounts: list[tuple[str, str]] = []
        self.refused = set[str]()
        self.certificate, self.account = certificate, account
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.server_address[1])

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        sink = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.open(self.request)
                with suppress(OSError):  # a client that trusts nobody, or leaves
                    self.say("220 ready")
                    while (line := self.file.readline().decode().strip()) and not line.upper().startswith("QUIT"):
                        self.answer(line)
                    self.say("221 bye")
                self.file.close()
                self.connection.close()

            def open(self, connection: Any) -> None:
                self.connection, self.file = connection, connection.makefile("rb")

            def say(self, text: str) -> None:
                self.connection.sendall(f"{text}\r\n".encode())

            def answer(self, line: str) -> None:
                verb = line.upper()
                if verb.startswith("EHLO"):
                    self.say("250-sink\r\n250-STARTTLS\r\n250 AUTH PLAIN" if sink.certificate else "250 sink")
                elif verb == "STARTTLS":
                    self.say("220 go on")
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(sink.certificate or "")
                    self.file.close()
                    self.open(context.wrap_socket(self.connection, server_side=True))
                elif verb.startswith("AUTH PLAIN"):
                    _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                    sink.accounts.append((user, password))
                    self.say("235 welcome" if (user, password) == sink.account else "535 unknown")
                elif verb.startswith("RCPT") and any(name in line for name in sink.refused):
                    self.say("550 nobody of that name")
                elif verb == "DATA":
                    self.say("354 go on")
                    lines = iter(self.file.readline, b".\r\n")
                    sink.mails.append(email.message_from_bytes(b"".join(lines), policy=default))
                    self.say("250 kept")
                else:
                    self.say("250 fine")

        return Handler


@contextmanager
def serving(sink: Any) -> Iterator[Any]:
    """Let a sink answer, in a thread of its own."""
    thread = threading.Thread(target=sink.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield sink
    finally:
        sink.server.shutdown()
        sink.server.server_close()
        thread.join()
