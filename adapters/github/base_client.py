"""The ground the families of operations stand on: one credential, typed answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import ValidationError

from adapters.github.errors import Unclear, UnexpectedAnswer
from adapters.github.http import Credential
from adapters.github.models import GitHubModel
from adapters.github.operation import Operation, Value, repository_parts
from adapters.github.transport import Transport

M = TypeVar("M", bound=GitHubModel)
PAGE: dict[str, Value] = {"per_page": 100}
"""The largest page GitHub gives."""


class Caller:
    """Calls operations with one credential and turns the answers into models."""

    def __init__(self, transport: Transport, credential: Credential) -> None:
        self._transport = transport
        self._credential = credential

    async def _one(
        self,
        operation: Operation,
        model: type[M],
        values: Mapping[str, Value],
        *,
        query: Mapping[str, Value] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> M:
        answer = await self._transport.request(operation, values, self._credential, query=query, body=body)
        return parse(operation, model, answer.data, answer.status)

    async def _done(
        self, operation: Operation, values: Mapping[str, Value], *, body: Mapping[str, object] | None = None
    ) -> None:
        await self._transport.request(operation, values, self._credential, body=body)

    async def _each(
        self,
        operation: Operation,
        model: type[M],
        values: Mapping[str, Value],
        query: Mapping[str, Value] | None = None,
    ) -> AsyncIterator[M]:
        pages = self._transport.pages(operation, values, self._credential, query={**PAGE, **(query or {})})
        async for item in pages:
            yield parse(operation, model, item, 200)

    async def _page(
        self, operation: Operation, model: type[M], query: Mapping[str, Value]
    ) -> tuple[list[M], str | None]:
        """One page of a list that goes on by a cursor, and the next page's cursor if there is one."""
        answer = await self._transport.request(operation, {}, self._credential, query={**PAGE, **query})
        if not isinstance(answer.data, list):
            raise UnexpectedAnswer("a list was expected", status=answer.status, operation=operation.id)
        following = answer.next_url.query.get("cursor") if answer.next_url else None
        return [parse(operation, model, item, answer.status) for item in answer.data], following

    async def _all(
        self,
        operation: Operation,
        model: type[M],
        values: Mapping[str, Value],
        query: Mapping[str, Value] | None = None,
    ) -> list[M]:
        return [item async for item in self._each(operation, model, values, query)]


def parse(operation: Operation, model: type[M], data: object, status: int) -> M:
    """Check an answer against its model.

    Raises UnexpectedAnswer; for a write Unclear, because it was done and only its answer makes no sense.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        kind = Unclear if operation.writes else UnexpectedAnswer
        message = f"the answer is no {model.__name__}: {where or 'it'}: {first['msg']}"
        raise kind(message, status=status, operation=operation.id) from error


def given(**values: object) -> dict[str, object]:
    """Keep the arguments that were given: None means "leave as it is" and is not sent."""
    return {key: value for key, value in values.items() if value is not None}


def asked(**values: Value | datetime | None) -> dict[str, Value]:
    """Build a query string's values: None is left out, times are written as GitHub writes them."""
    return {
        key: timestamp(value) if isinstance(value, datetime) else value
        for key, value in values.items()
        if value is not None
    }


def timestamp(moment: datetime) -> str:
    """Write an aware time as `2026-01-31T12:00:00Z`; ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be sent to GitHub")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["Caller", "asked", "given", "parse", "repository_parts", "timestamp"]
