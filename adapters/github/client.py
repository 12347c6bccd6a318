"""Provides the client: one transport, the App, and a `GitHub` for each installation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from adapters.github.actions import ActionsOperations
from adapters.github.app import AppOperations, InstallationOperations
from adapters.github.batch_mutations import BatchOperations
from adapters.github.checks import CheckOperations
from adapters.github.http import (
    DEFAULT_RETRY,
    DEFAULT_TIMEOUTS,
    HttpTimeouts,
    OnCacheHit,
    OnCall,
    OnRenamed,
    RetryPolicy,
)
from adapters.github.issues import IssueOperations
from adapters.github.labels import LabelOperations
from adapters.github.pulls import PullOperations
from adapters.github.rate_limit import RateLimitContext
from adapters.github.rate_limiter import RateLimiter
from adapters.github.repositories import RepositoryOperations
from adapters.github.restore_queries import RestoreOperations
from adapters.github.tokens import AppAuth, InstallationCredential, InstallationTokens, PersonCredential
from adapters.github.transport import Transport
from adapters.github.user_client import UserClient
from adapters.github.users import UserOperations


class GitHub(
    IssueOperations,
    LabelOperations,
    PullOperations,
    CheckOperations,
    ActionsOperations,
    RepositoryOperations,
    InstallationOperations,
    UserOperations,
    RestoreOperations,
    BatchOperations,
):
    """GitHub as one installation of the App sees it. Methods raise classes in `adapters.github.errors`."""

    def __init__(self, transport: Transport, credential: InstallationCredential) -> None:
        super().__init__(transport, credential)
        self.installation_id = credential.installation_id
        self._installation = credential

    async def git_token(self) -> str:
        """Return the token that git fetches with (user `x-access-token`); valid for at least five minutes."""
        return await self._installation.token()

    async def graphql(self, query: str, variables: Mapping[str, object] | None = None) -> dict[str, object]:
        """Run a GraphQL query and give its `data`; GraphQLError keeps partial data."""
        return await self._transport.graphql(query, variables or {}, self._credential)

    @asynccontextmanager
    async def reserved_write(self, *, content: bool) -> AsyncIterator[None]:
        """Inside, the first write goes without waiting: it was admitted before anything was read for it.

        Raises Throttled, before anything is done, when it has to wait.
        """
        await self._transport.reserve(self._credential, content=content)
        try:
            yield
        finally:
            self._transport.release(self._credential)


class GitHubClient:
    """Everything the bot needs to talk to GitHub. Use as `async with GitHubClient(...) as client`.

    `now` returns the present as an aware datetime; the hooks and the limiter are those of `Transport`.
    """

    def __init__(
        self,
        *,
        api_url: str,
        graphql_url: str,
        app_id: int | str,
        private_key_pem: str,
        now: Callable[[], datetime],
        timeouts: HttpTimeouts = DEFAULT_TIMEOUTS,
        retry: RetryPolicy = DEFAULT_RETRY,
        on_call: OnCall | None = None,
        on_cache_hit: OnCacheHit | None = None,
        limiter: RateLimiter | None = None,
        on_renamed: OnRenamed | None = None,
    ) -> None:
        self._transport = Transport(
            api_url=api_url,
            graphql_url=graphql_url,
            now=now,
            timeouts=timeouts,
            retry=retry,
            on_call=on_call,
            on_cache_hit=on_cache_hit,
            limiter=limiter,
            on_renamed=on_renamed,
        )
        self.app = AppOperations(self._transport, AppAuth(app_id, private_key_pem, now))
        self._tokens = InstallationTokens(self.app.create_installation_token, now)

    def installation(self, installation_id: int, context: RateLimitContext | None = None) -> GitHub:
        """GitHub as this installation sees it; cheap, because all with the same id share tokens.

        `context` is the context for the rate limiter; without one, the call is treated as an answer to a user.
        """
        return GitHub(
            self._transport, InstallationCredential(self._tokens, installation_id, context or RateLimitContext())
        )

    def person(self, token: SecretStr) -> UserClient:
        """Return GitHub as the person sees it whose token this is."""
        return UserClient(self._transport, PersonCredential(token))

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End open token requests and close the connections."""
        await self._tokens.close()
        await self._transport.close()
