"""Provides credentials: the App's JWT, and the hourly tokens of its installations.

Both are cached until shortly before they expire, by the injected clock. gidgethub makes JWTs too, but by the machine's
own clock, which tests cannot control.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

import jwt
from cachetools import TLRUCache
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

from adapters.github.models import InstallationToken
from adapters.github.rate_limit import RateLimitContext, sender_name

JWT_BACKDATE: Final = timedelta(seconds=60)
JWT_LIFETIME: Final = timedelta(minutes=9)
"""GitHub refuses an `exp` more than 10 minutes ahead; the missing minute forgives a clock that is fast."""
JWT_RESERVE: Final = timedelta(minutes=1)
TOKEN_RESERVE: Final = timedelta(minutes=5)
"""A token is replaced this long before it expires, so that none dies in the middle of a job."""

MAX_TOKENS: Final = 10_000  # that are kept

Now = Callable[[], datetime]


class AppAuth:
    """The App itself: signs its JWT, keeps it until a minute before it expires.

    Raises ValueError when the key is no RSA private key in PEM form.
    """

    name = "app"
    context = None  # the App itself asks for tokens and deliveries, seldom

    def __init__(self, app_id: int | str, private_key_pem: str, now: Now) -> None:
        try:
            # Checking that the numbers fit together takes 20 ms, and the settings have done it once.
            key = load_pem_private_key(private_key_pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
        except (ValueError, TypeError) as error:
            raise ValueError("GITHUB_PRIVATE_KEY is not a private key in PEM form") from error
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("GITHUB_PRIVATE_KEY must be an RSA key, as GitHub makes them for Apps")
        self._app_id = str(app_id)
        self._key = key
        self._now = now
        self._cached: tuple[str, datetime, datetime] | None = None

    async def token(self) -> str:
        """Return a JWT that is valid for at least another minute."""
        return self.jwt()

    def jwt(self) -> str:
        """Return a JWT: `iat` a minute back, `exp` nine minutes ahead."""
        now = self._now()
        if self._cached is not None:
            token, valid_from, valid_until = self._cached
            # `since`: a clock that was set back would make a cached token come from the future.
            if valid_from <= now < valid_until:
                return token
        payload = {
            "iat": int((now - JWT_BACKDATE).timestamp()),
            "exp": int((now + JWT_LIFETIME).timestamp()),
            "iss": self._app_id,
        }
        token = jwt.encode(payload, self._key, algorithm="RS256")
        self._cached = (token, now, now + JWT_LIFETIME - JWT_RESERVE)
        return token

    def discard(self, token: str) -> None:
        """Drop the cached JWT if it is this one."""
        if self._cached is not None and self._cached[0] == token:
            self._cached = None


class InstallationTokens:
    """Tokens by installation id. Callers that ask at the same time share one request to GitHub."""

    def __init__(self, create: Callable[[int], Awaitable[InstallationToken]], now: Now) -> None:
        self._create = create
        self._cache: TLRUCache[int, InstallationToken] = TLRUCache(
            MAX_TOKENS,
            ttu=lambda _key, value, _now: (value.expires_at - TOKEN_RESERVE).timestamp(),
            timer=lambda: now().timestamp(),
        )
        self._in_flight: dict[int, asyncio.Task[InstallationToken]] = {}

    async def token(self, installation_id: int) -> str:
        """Return a token for the installation, valid for at least five more minutes; raises what GitHub
        answers.
        """
        cached = self._cache.get(installation_id)
        if cached is not None:
            return cached.token.get_secret_value()
        task = self._in_flight.get(installation_id)
        if task is None:
            task = asyncio.create_task(self._fetch(installation_id))
            self._in_flight[installation_id] = task
            task.add_done_callback(lambda finished_task: self._on_done(installation_id, finished_task))
        # Shielded: one caller that is cancelled must not take the token from the others.
        return (await asyncio.shield(task)).token.get_secret_value()

    def discard(self, installation_id: int, token: str) -> None:
        """Drop the cached token if it is still this one; another caller may have renewed it already."""
        cached = self._cache.get(installation_id)
        if cached is not None and cached.token.get_secret_value() == token:
            del self._cache[installation_id]

    async def close(self) -> None:
        """Cancel requests without waiting callers."""
        tasks = list(self._in_flight.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, installation_id: int) -> InstallationToken:
        token = await self._create(installation_id)
        self._cache[installation_id] = token
        return token

    def _on_done(self, installation_id: int, task: asyncio.Task[InstallationToken]) -> None:
        self._in_flight.pop(installation_id, None)
        if not task.cancelled():
            task.exception()  # marks it as seen when every caller has been cancelled meanwhile


class PersonCredential:
    """A person, by a token that the operator gave; it cannot be renewed by us."""

    name = "person"
    context = None  # a person's limits are shared with all else that they do; GitHub says when to wait

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    @property
    def is_app_token(self) -> bool:
        """Whether the token is an App's own, of an installation or a run (`ghs_…`, or a JWT), and so no person's."""
        text = self._token.get_secret_value()
        return text.startswith("ghs_") or text.count(".") == 2

    async def token(self) -> str:
        """Return the token."""
        return self._token.get_secret_value()

    def discard(self, token: str) -> None:
        """GitHub refused it: there is no other."""


class InstallationCredential:
    """One installation in a call to GitHub."""

    def __init__(self, tokens: InstallationTokens, installation_id: int, context: RateLimitContext) -> None:
        self._tokens = tokens
        self.context: RateLimitContext | None = context
        self.installation_id = installation_id

    @property
    def name(self) -> str:
        """`installation:<id>`."""
        return sender_name(self.installation_id)

    async def token(self) -> str:
        """Return a valid token of the installation; also what git needs to fetch."""
        return await self._tokens.token(self.installation_id)

    def discard(self, token: str) -> None:
        """Drop the token, GitHub refused it."""
        self._tokens.discard(self.installation_id, token)
