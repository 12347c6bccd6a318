"""Channels, each against a real receiver: an HTTP server, an SMTP server with STARTTLS and log-in."""

from __future__ import annotations

import asyncio
import email
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage, Message
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiosmtpd import smtp
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from adapters.alerts import (
    Busy,
    ChannelNotConfigured,
    Channels,
    DeliveryFailed,
    DeliveryRejected,
    Log,
    Mail,
    Slack,
    Webhook,
)
from adapters.alerts import Message as Alert
from adapters.alerts.mail import build_mail
from adapters.alerts.slack import build_blocks
from tests.manual_loop import ManualLoop

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ALERT = Alert(
    key="notify:slack:1:x:1",
    repository="acme/shop",
    number=1,
    title="acme/shop#1 needs a person: Add the tax rate <!channel>",
    text="3 attempts failed: CI failed & more <@U1>",
    url="https://github.com/acme/shop/issues/1",
    since=NOON - timedelta(minutes=1),
    sent_at=NOON,
    attempted=("attempt 1 by `codex`: CI failed",),
    suggestions=("Answer it [in its session](https://agents.example/s-1).", "`/claim` it.", "Close the issue."),
    people=("alice",),
)


PASSWORD = "pass word"


class Receiver:
    """A server that keeps what it gets and answers what it is told to."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[web.Response] = []
        self.released = asyncio.Event()
        self.released.set()
        self.asked = asyncio.Event()

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.got.append((dict(request.headers), await request.read()))
        self.asked.set()
        await self.released.wait()
        return self.answers.pop(0) if self.answers else web.Response(text="ok")


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str, aiohttp.ClientSession]]:
    it = Receiver()
    application = web.Application()
    application.router.add_post("/hook/secret", it.take)
    async with TestServer(application) as server, aiohttp.ClientSession() as http:
        yield it, str(server.make_url("/hook/secret")), http
        it.released.set()


async def test_a_webhook_is_signed_with_its_time(receiver: tuple[Receiver, str, aiohttp.ClientSession]) -> None:
    it, url, http = receiver
    await Webhook(http, SecretStr(url), SecretStr("s3cret")).send(ALERT)
    [(headers, body)] = it.got
    stamp = headers["X-Orchestrator-Timestamp"]
    assert int(stamp) == NOON.timestamp()
    expected = hmac.new(b"s3cret", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Orchestrator-Signature-256"] == f"sha256={expected}"
    told = json.loads(body)
    assert (told["id"], told["task"], told["people"], len(told["steps"])) == (ALERT.key, 1, ["alice"], 3)
    assert headers["X-Orchestrator-Id"] == ALERT.key


async def test_slack_blocks_mention_no_one_by_accident(
    receiver: tuple[Receiver, str, aiohttp.ClientSession],
) -> None:
    it, url, http = receiver
    await Slack(http, SecretStr(url)).send(ALERT)
    told = json.loads(it.got[0][1])
    assert "<!channel>" not in told["text"]
    assert "&lt;!channel&gt;" in told["text"]
    texts = [block["text"]["text"] for block in told["blocks"] if block["type"] == "section"]
    assert texts[0] == "3 attempts failed: CI failed &amp; more &lt;@U1&gt;"
    assert "1. Answer it <https://agents.example/s-1|in its session>." in texts[2]
    [button] = next(block["elements"] for block in told["blocks"] if block["type"] == "actions")
    assert button["url"] == ALERT.url
    assert all(len(text) <= 3000 for text in texts)
    assert len(told["blocks"][0]["text"]["text"]) <= 150


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (web.Response(status=500, text="oops"), DeliveryFailed),
        (web.Response(status=404, text="no_service"), DeliveryRejected),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), DeliveryRejected),
        (web.Response(status=429, headers={"Retry-After": "7"}), Busy),
    ],
)
async def test_what_another_try_helps_and_what_not(
    receiver: tuple[Receiver, str, aiohttp.ClientSession], answer: web.Response, error: type[Exception]
) -> None:
    it, url, http = receiver
    it.answers = [answer]
    with pytest.raises(error) as caught:
        await Slack(http, SecretStr(url)).send(ALERT)
    assert type(caught.value) is error
    assert "secret" not in str(caught.value), "the address is a secret"
    if isinstance(caught.value, Busy):
        assert caught.value.retry_after == timedelta(seconds=7)


async def test_one_that_hangs_and_one_that_is_gone(receiver: tuple[Receiver, str, aiohttp.ClientSession]) -> None:
    it, url, http = receiver
    it.released.clear()
    gone = Slack(http, SecretStr("http://127.0.0.1:9/hook/secret"))
    there = Channels({"slack": Slack(http, SecretStr(url)), "webhook": gone, "log": Log()}, timeout_seconds=60)
    loop, sending = ManualLoop(), asyncio.create_task(there.send("slack", ALERT))
    await it.asked.wait()
    loop.advance(61)
    with pytest.raises(DeliveryFailed, match="did not answer within 60 s"):
        await sending
    with pytest.raises(DeliveryFailed, match="cannot be reached") as caught:
        await there.send("webhook", ALERT)
    assert "secret" not in str(caught.value)
    await there.send("log", ALERT)
    with pytest.raises(ChannelNotConfigured, match="SMTP_HOST"):
        await there.send("email", ALERT)


class Box:
    """A mailbox."""

    def __init__(self) -> None:
        self.mails: list[tuple[Envelope, Message]] = []
        self.refuse = ""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's own name
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        self.mails.append((envelope, email.message_from_bytes(content, policy=default)))
        return "250 OK"


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS for a server on 127.0.0.1, and the trust of its client."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "mail.pem"
    file.write_bytes(secret + pem)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())


def logged_in(server: smtp.SMTP, session: Any, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    """Who may send."""
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"bot", b"pass word")
    return AuthResult(success=right, handled=False)


# The server of the test sets fields that it calls outdated itself.
logs_in = pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd", "ignore::UserWarning:aiosmtpd")


@pytest.fixture
async def post_office(tmp_path: Path) -> AsyncIterator[tuple[Box, int, ssl.SSLContext]]:
    tls, trust = certificate(tmp_path)
    box = Box()

    def session() -> smtp.SMTP:
        return smtp.SMTP(
            box,
            hostname="127.0.0.1",
            tls_context=tls,
            require_starttls=True,
            auth_required=True,
            authenticator=logged_in,
        )

    async with await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0) as server:
        yield box, server.sockets[0].getsockname()[1], trust


def mail(port: int, trust: ssl.SSLContext | None, password: str = PASSWORD) -> Mail:
    to = ("alice@example.com", "bob@example.com")
    return Mail("127.0.0.1", port, "bot@example.com", to, "starttls", "bot", SecretStr(password), trust)


@logs_in
async def test_a_real_conversation_with_a_mail_server(post_office: tuple[Box, int, ssl.SSLContext]) -> None:
    box, port, trust = post_office
    await mail(port, trust).send(ALERT)
    [(envelope, got)] = box.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("bot@example.com", ["alice@example.com", "bob@example.com"])
    assert got["Subject"] == ALERT.title
    assert got["Auto-Submitted"] == "auto-generated"
    assert isinstance(got, EmailMessage)
    text = got.get_content().replace("\r\n", "\n")
    assert "What you can do:\n1. Answer it" in text
    assert ALERT.url in text
    assert build_mail(ALERT, "bot@example.com", ("a@b",))["Message-ID"] == got["Message-ID"]


@logs_in
async def test_a_mail_server_that_refuses(post_office: tuple[Box, int, ssl.SSLContext]) -> None:
    box, port, trust = post_office
    with pytest.raises(DeliveryRejected) as caught:
        await mail(port, trust, "wrong").send(ALERT)
    assert "wrong" not in str(caught.value)
    box.refuse = "450 come back later"
    with pytest.raises(DeliveryFailed, match="the mail server"):
        await mail(port, trust).send(ALERT)
    box.refuse = "550 no mailbox of that name"
    with pytest.raises(DeliveryRejected):
        await mail(port, trust).send(ALERT)
    with pytest.raises(DeliveryFailed):
        await mail(port, None).send(ALERT)  # a self-signed certificate
    assert box.mails == []


def test_a_line_break_in_a_title_forges_no_header() -> None:
    told = build_blocks(ALERT)
    assert told["blocks"][-1]["type"] == "context"
    with pytest.raises(ValueError, match="linefeed|newline|header"):
        build_mail(Alert("k", "r", 1, "a\nBcc: x@y", "", "", NOON, NOON), "a@b", ("c@d",))
