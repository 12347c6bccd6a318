"""The log holds no secret, wherever in an event it is."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from bot import logs

TOKEN = "ghs_1234567_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMiIsImV4cCI6MX0.c2lnbmF0dXJl"
PASSWORD = "Sup3r-Secret-Passw0rd-XYZ"
URL = f"postgresql://postgres:{PASSWORD}@/bot?host=/tmp"


@dataclass
class Lease:
    """Something with a repr."""

    token: str
    url: str


class Broken:
    """Something whose repr fails."""

    def __repr__(self) -> str:
        raise ValueError(PASSWORD)


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged; everything is set back afterwards."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    root, old = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    stream = io.StringIO()
    logs.configure_logs("DEBUG", stream=stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers, root.level = handlers, level
    structlog.configure(**old)


def _fail() -> None:
    connection = {"url": URL, "secret": SecretStr(PASSWORD)}  # the locals of a frame
    key = f"-----BEGIN PRIVATE KEY-----\n{PASSWORD}\n-----END PRIVATE KEY-----"
    try:
        try:
            raise ConnectionError(f"cannot connect to {connection['url']} with {key}")
        except ConnectionError as error:
            error.add_note(f"Authorization: Bearer {TOKEN}")
            raise ExceptionGroup(f"all failed, {TOKEN}", [error, ValueError(TOKEN)]) from error
    except ExceptionGroup as group:
        raise RuntimeError("stopped") from group


def _lines(output: io.StringIO) -> list[dict[str, Any]]:
    text = output.getvalue()
    assert PASSWORD not in text
    assert TOKEN not in text
    assert "eyJpc3MiOi" not in text
    assert '"locals"' not in text
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    "value",
    [
        TOKEN,
        TOKEN.encode(),
        {"a": [{"b": ({"c": TOKEN},)}]},
        {TOKEN: {TOKEN}},
        {"Authorization": PASSWORD, "db_password": PASSWORD, "X-Api-Key": PASSWORD, "set-cookie": [PASSWORD]},
        [ValueError(TOKEN), ConnectionError(URL)],
        Lease(PASSWORD, URL),
        Broken(),
        SecretStr(PASSWORD),
        {"arguments": Lease(TOKEN, f"https://x-access-token:{TOKEN}@github.com/a/b.git")},
    ],
)
def test_a_value_of_any_shape_is_masked(output: io.StringIO, value: object) -> None:
    structlog.get_logger().info("something", value=value)
    structlog.get_logger().info(f"in words: {TOKEN}", token=PASSWORD)
    logging.getLogger("a.library").warning("it said %s", TOKEN, extra={"value": value})
    assert len(_lines(output)) == 3


def test_a_value_that_contains_itself_is_masked(output: io.StringIO) -> None:
    endless: dict[str, Any] = {"token": PASSWORD, "text": TOKEN}
    endless["again"] = [endless]
    structlog.get_logger().info("endless", value=endless)
    assert len(_lines(output)) == 1


def test_a_traceback_has_its_causes_masked_and_no_locals(output: io.StringIO) -> None:
    try:
        _fail()
    except RuntimeError as error:
        structlog.get_logger().exception("failed", error=error)
        structlog.get_logger().error("failed", exc_info=error)
        logging.getLogger("asyncio").exception("Task exception was never retrieved")
    lines = _lines(output)
    assert [len(line["exception"]) for line in lines] == [2, 2, 2]  # a group holds its own
    assert "frames" in lines[0]["exception"][0]
    assert lines[0]["error"].startswith("RuntimeError: stopped (from ExceptionGroup: all failed, ***")


def test_what_ends_the_process_or_a_thread_is_masked_too(output: io.StringIO) -> None:
    try:
        _fail()
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    thread = threading.Thread(target=_fail)
    thread.start()
    thread.join()
    assert [line["event"] for line in _lines(output)] == ["uncaught_error"] * 2
