"""Every answer that is no success becomes the error that says what to do."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.github import errors
from adapters.github.errors import GitHubError, Invalid, RateLimited, classify
from tests.adapters.github_server import START


def answer(status: int, message: str = "No", method: str = "GET", **headers: str) -> GitHubError:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return classify(status, named, json.dumps({"message": message}).encode(), method, START)


@pytest.mark.parametrize(
    ("status", "method", "kind"),
    [
        (400, "GET", errors.Invalid),
        (401, "POST", errors.Unauthorised),
        (402, "GET", errors.Forbidden),
        (403, "POST", errors.Forbidden),
        (404, "GET", errors.NotFound),
        (405, "PUT", errors.Conflict),
        (406, "GET", errors.Invalid),
        (408, "GET", errors.Transient),
        (408, "POST", errors.UnknownOutcome),
        (409, "PUT", errors.Conflict),
        (410, "GET", errors.Gone),
        (413, "POST", errors.TooLarge),
        (418, "GET", errors.Invalid),
        (422, "POST", errors.Invalid),
        (451, "GET", errors.Forbidden),
        (500, "GET", errors.Transient),
        (500, "POST", errors.UnknownOutcome),
        (502, "PATCH", errors.UnknownOutcome),
        (503, "get", errors.Transient),
        (504, "DELETE", errors.UnknownOutcome),
        (520, "GET", errors.Transient),
        (520, "PUT", errors.UnknownOutcome),
        (599, "GET", errors.Transient),
        (304, "GET", errors.UnexpectedResponse),
        (302, "POST", errors.UnknownOutcome),
    ],
)
def test_the_class_of_a_status(status: int, method: str, kind: type[GitHubError]) -> None:
    error = answer(status, method=method)
    assert type(error) is kind
    assert error.status == status
    assert "No" in str(error)


@pytest.mark.parametrize("status", [403, 429])
def test_a_primary_limit_waits_for_its_reset(status: int) -> None:
    reset = START + timedelta(minutes=20)
    error = answer(status, X_RateLimit_Remaining="0", X_RateLimit_Reset=str(int(reset.timestamp())))
    assert isinstance(error, RateLimited)
    assert (error.retry_at, error.secondary) == (reset, False)


@pytest.mark.parametrize(
    ("message", "headers", "seconds", "secondary"),
    [
        ("slow down", {"Retry_After": "30"}, 30, True),
        ("slow down", {"Retry_After": "Sat, 31 Jan 2026 12:02:00 GMT"}, 120, True),
        ("slow down", {"Retry_After": "soon"}, 60, True),
        ("slow down", {"Retry_After": "0"}, 1, True),
        ("slow down", {"Retry_After": "9" * 40}, 7200, True),
        ("You have exceeded a secondary rate limit.", {}, 60, True),
        ("You have triggered an abuse detection mechanism", {}, 60, True),
        ("slow", {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "never"}, 60, False),
        ("slow", {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "1"}, 1, False),
        ("slow", {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "99999999999999999999"}, 60, False),
        ("slow", {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "nan"}, 60, False),
        ("API rate limit exceeded for installation ID 7.", {}, 60, False),
    ],
)
def test_how_long_a_limit_lasts(message: str, headers: dict[str, str], seconds: int, secondary: bool) -> None:
    error = answer(403, message, **headers)
    assert isinstance(error, RateLimited)
    assert error.retry_at - START == timedelta(seconds=seconds)
    assert error.secondary is secondary


def test_a_429_without_any_hint_waits_a_minute() -> None:
    error = answer(429, "?")
    assert isinstance(error, RateLimited)
    assert error.retry_at - START == timedelta(seconds=60)


def test_a_missing_permission_is_no_rate_limit() -> None:
    error = answer(403, "Resource not accessible by integration", X_RateLimit_Remaining="4000")
    assert type(error) is errors.Forbidden
    assert error.message == "Resource not accessible by integration"


def test_validation_errors_are_listed() -> None:
    body = {
        "message": "Validation Failed",
        "errors": [
            {"resource": "Label", "field": "name", "code": "already_exists"},
            {"message": "body is too long", "code": "custom"},
            "plain",
        ],
    }
    error = classify(422, {}, json.dumps(body).encode(), "POST", START)
    assert isinstance(error, Invalid)
    assert error.errors == ("Label name already_exists", "body is too long", "plain")
    assert str(error) == "422: Validation Failed: Label name already_exists; body is too long; plain"


def test_the_request_id_is_kept_for_the_support() -> None:
    assert answer(500, X_GitHub_Request_Id="AB:12").request_id == "AB:12"


@given(
    st.integers(100, 999),
    st.dictionaries(
        st.sampled_from(["Retry-After", "x-ratelimit-remaining", "X-RateLimit-Reset", "x-github-request-id"]),
        st.text(max_size=30),
    ),
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(
        lambda value: json.dumps({"message": value, "errors": value}).encode()
    ),
    st.sampled_from(["GET", "POST", "PATCH", "x"]),
)
def test_no_answer_at_all_breaks_the_classifier(status: int, headers: dict[str, str], body: bytes, method: str) -> None:
    error = classify(status, headers, body, method, START)
    assert isinstance(error, GitHubError)
    assert len(str(error)) < 2000
    if isinstance(error, RateLimited):
        assert START < error.retry_at <= START + errors.MAX_WAIT
    if method != "GET":
        assert not isinstance(error, errors.Transient)
