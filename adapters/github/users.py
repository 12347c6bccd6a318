"""Accounts."""

from __future__ import annotations

from typing import Final

from adapters.github.base_client import BaseClient
from adapters.github.models import User
from adapters.github.operation import operation

GET_USER: Final = operation("users/get-by-username", "GET", "/users/{username}", permission=None)
GET_ME: Final = operation("users/get-authenticated", "GET", "/user", permission=None)


class UserOperations(BaseClient):
    """What anybody may know of an account."""

    async def get_user(self, login: str) -> User:
        """Return the account that has this login now; `id` is what lasts."""
        return await self._request_one(GET_USER, User, {"username": login})

    async def get_me(self) -> User:
        """Return the account whose token this is; Forbidden for an App's."""
        return await self._request_one(GET_ME, User, {})
