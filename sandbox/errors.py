"""The errors of the API, with the bodies that GitHub gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DOCS = "https://docs.github.com/rest"


class ApiError(Exception):
    """Raised by a handler: answered with this status and GitHub's usual body."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: Sequence[Mapping[str, Any] | str] | None = None,
        headers: Mapping[str, str] | None = None,
        documentation_url: str = DOCS,
    ) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.headers = dict(headers or {})
        self.body: dict[str, Any] = {"message": message}
        if errors is not None:
            self.body["errors"] = [dict(error) if isinstance(error, Mapping) else error for error in errors]
        self.body |= {"documentation_url": documentation_url, "status": str(status)}


def not_found() -> ApiError:
    """404: it does not exist, or the sender may not see it."""
    return ApiError(404, "Not Found")


def not_accessible() -> ApiError:
    """403: the App was not granted what this needs."""
    return ApiError(403, "Resource not accessible by integration")


def invalid(resource: str, field: str, code: str = "invalid", message: str | None = None) -> ApiError:
    """422 about one field; codes: missing, missing_field, invalid, already_exists, custom (with a
    message).
    """
    error = {"resource": resource, "code": code, "field": field}
    return ApiError(422, "Validation Failed", errors=[error | ({"message": message} if message else {})])


def invalid_request(message: str) -> ApiError:
    """422 for a body of the wrong shape."""
    return ApiError(422, f"Invalid request.\n\n{message}")
