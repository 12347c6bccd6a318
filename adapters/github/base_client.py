"""Provides the base of all groups of operations: one credential, typed responses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import ValidationError

from adapters.github.errors import UnexpectedResponse, UnknownOutcome
from adapters.github.http import Credential
from adapters.github.models import GitHubModel
from adapters.github.operation import Operation, Value, repository_parts
from adapters.github.transport import Transport

M = TypeVar("M", bound=GitHubModel)
PAGE_QUERY: dict[str, Value] = {"per_page": 100}
"""The largest page GitHub gives."""


class BaseClient:
    """Calls operations with one credential and turns the answers into models."""

    def __init__(self, transport: Transport, credential: Credential) -> None:
        self._transport = transport
        self._credential = credential

    async def _request_one(
        self,
        operation: Operation,
        model: type[M],
        values: Mapping[str, Value],
        *,
        query: Mapping[str, Value] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> M:
        response = await self._transport.request(operation, values, self._credential, query=query, body=body)
        return parse(operation, model, response.data, response.status)

    async def _execute(
        self, operation: Operation, values: Mapping[str, Value], *, body: Mapping[str, object] | None = None
    ) -> None:
        await self._transport.request(operation, values, self._credential, body=body)

    async def _iterate(
        self,
        operation: Operation,
        model: type[M],
        values: Mapping[str, Value],
        query: Mapping[str, Value] | None = None,
    ) -> AsyncIterator[M]:
        pages = self._transport.iterate_pages(
            operation, values, self._credential, query={**PAGE_QUERY, **(query or {})}
        )
        async for item in pages:
            yield parse(operation, model, item, 200)

    async def _request_page(
        self, operation: Operation, model: type[M], query: Mapping[str, Value]
    ) -> tuple[list[M], str | None]:
        """One page of a list that goes on by a cursor, and the next page's cursor if there is one."""
        response = await self._transport.request(operation, {}, self._credential, query={**PAGE_QUERY, **query})
        if not isinstance(response.data, list):
            raise UnexpectedResponse("a list was expected", status=response.status, operation=operation.id)
        next_cursor = response.next_url.query.get("cursor") if response.next_url else None
        return [parse(operation, model, item, response.status) for item in response.data], next_cursor

    async def _request_all(
        self,
        operation: Operation,
        model: type[M],
        values: Mapping[str, Value],
        query: Mapping[str, Value] | None = None,
    ) -> list[M]:
        return [item async for item in self._iterate(operation, model, values, query)]


def parse(operation: Operation, model: type[M], data: object, status: int) -> M:
    """Check an answer against its model.

    Raises UnexpectedAnswer; for a write Unclear, because it was done and only its answer makes no sense.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first_error = error.errors(include_input=False, include_url=False)[0]
        location = ".".join(str(part) for part in first_error["loc"])
        error_type = UnknownOutcome if operation.is_write else UnexpectedResponse
        message = f"the answer is no {model.__name__}: {location or 'it'}: {first_error['msg']}"
        raise error_type(message, status=status, operation=operation.id) from error


def body_params(**values: object) -> dict[str, object]:
    """Keep the arguments that were given: None means "leave as it is" and is not sent."""
    return {key: value for key, value in values.items() if value is not None}


def query_params(**values: Value | datetime | None) -> dict[str, Value]:
    """Build a query string's values: None is left out, times are written as GitHub writes them."""
    return {
        key: format_timestamp(value) if isinstance(value, datetime) else value
        for key, value in values.items()
        if value is not None
    }


def format_timestamp(time: datetime) -> str:
    """Write an aware time as `2026-01-31T12:00:00Z`; ValueError for a naive one."""
    if time.tzinfo is None:
        raise ValueError("a time without a zone cannot be sent to GitHub")
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["BaseClient", "body_params", "format_timestamp", "parse", "query_params", "repository_parts"]
