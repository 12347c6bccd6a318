"""Who we are: signed, kept, renewed in time, asked for once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from adapters.github.errors import NotFound, Transient, Unauthorised
from adapters.github.tokens import AppAuth
from tests.adapters.github_server import (
    INSTALLATION,
    START,
    Clock,
    github_server,
    issue,
    private_key,
    respond_in_turn,
    respond_with,
)


def claims(token: str) -> dict[str, int | str]:
    public = load_pem_private_key(private_key().encode(), None).public_key()
    options = {"verify_exp": False, "verify_iat": False}
    return dict(jwt.decode(token, public, algorithms=["RS256"], options=options))  # type: ignore[arg-type]


def test_the_jwt_of_the_app_is_backdated_and_short_lived() -> None:
    token = AppAuth(42, private_key(), Clock()).jwt()
    assert claims(token) == {
        "iss": "42",
        "iat": int(START.timestamp()) - 60,
        "exp": int(START.timestamp()) + 540,
    }


def test_the_jwt_is_kept_until_a_minute_before_it_expires() -> None:
    clock = Clock()
    auth = AppAuth(42, private_key(), clock)
    first = auth.jwt()
    clock.advance(timedelta(minutes=7, seconds=59))
    assert auth.jwt() == first
    clock.advance(timedelta(seconds=1))
    second = auth.jwt()
    assert second != first
    clock.advance(timedelta(minutes=-30))
    assert auth.jwt() not in {first, second}


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
def test_a_key_that_is_none_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match="GITHUB_PRIVATE_KEY is not a private key in PEM form"):
        AppAuth(42, text, Clock())


def test_a_key_of_the_wrong_kind_is_refused() -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="must be an RSA key"):
        AppAuth(42, pem.decode(), Clock())


async def test_a_token_is_made_with_the_jwt_and_used_until_five_minutes_before_it_expires() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with(issue())
        gh = client.installation(INSTALLATION)

        await gh.get_issue("acme/shop", 1)
        server.clock.advance(timedelta(minutes=54, seconds=59))
        await client.installation(INSTALLATION).get_issue("acme/shop", 1)
        assert server.tokens == 1
        server.clock.advance(timedelta(seconds=1))
        await gh.get_issue("acme/shop", 1)

    assert server.tokens == 2
    assert claims(str(server.requests[0].authorization).removeprefix("Bearer "))["iss"] == "42"
    assert [asked.authorization for asked in server.api_requests] == ["Bearer ghs_1", "Bearer ghs_1", "Bearer ghs_2"]


async def test_callers_at_the_same_time_share_one_request() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with(issue())
        await asyncio.gather(*(client.installation(INSTALLATION).get_issue("acme/shop", 1) for _ in range(20)))
    assert server.tokens == 1


async def test_a_caller_that_is_cancelled_does_not_take_the_token_from_the_others() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with(issue())
        gh = client.installation(INSTALLATION)
        one, two = asyncio.create_task(gh.git_token()), asyncio.create_task(gh.git_token())
        await asyncio.sleep(0)
        one.cancel()
        assert await two == "ghs_1"
        with pytest.raises(asyncio.CancelledError):
            await one


async def test_a_refused_token_is_renewed_and_the_call_repeated_once_also_for_writes() -> None:
    async with github_server() as (server, client):
        server.handler = respond_in_turn((401, {"message": "Bad credentials"}, {}), (201, issue(), {}))
        made = await client.installation(INSTALLATION).create_issue("acme/shop", title="t", body="b")
    assert made.number == 1
    assert [asked.authorization for asked in server.api_requests] == ["Bearer ghs_1", "Bearer ghs_2"]


async def test_a_second_refusal_is_the_answer() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with({"message": "Bad credentials"}, 401)
        with pytest.raises(Unauthorised, match="Bad credentials"):
            await client.installation(INSTALLATION).get_issue("acme/shop", 1)
    assert len(server.api_requests) == 2


async def test_every_call_reports_an_uninstalled_app() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with({"message": "Not Found"}, 404)
        for _ in range(2):
            with pytest.raises(NotFound) as caught:
                await client.installation(INSTALLATION + 1).get_issue("acme/shop", 1)
    assert caught.value.operation == "apps/create-installation-access-token"


async def test_making_a_token_is_repeated_and_its_failure_is_never_unclear() -> None:
    async with github_server() as (server, client):

        async def broken(request: web.Request) -> web.Response:
            return web.Response(status=502)

        server.handler = broken
        with pytest.raises(Transient) as caught:
            await client.installation(INSTALLATION + 1).create_comment("acme/shop", 1, "hello")
    assert caught.value.operation == "apps/create-installation-access-token"
    assert len(server.requests) == 3


async def test_tokens_do_not_show_when_printed() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with(issue())
        made = await client.app.create_installation_token(INSTALLATION)
    assert "ghs_" not in repr(made)
    assert made.token.get_secret_value() == "ghs_1"
