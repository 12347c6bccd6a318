"""Configures logs: one JSON object per line, without secrets."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any

import structlog

from core.text_safety.publication import is_secret_name, mask_secrets

MAX_DEPTH = 12  # of nested values; what is deeper is written as text
MAX_FRAMES = 30  # of each traceback, from both ends
MASK = "***"


def masked(value: Any, depth: int = 0) -> Any:
    """The value as JSON can hold it, without what looks like a secret, and without values whose name says secret.

    It goes through everything: nested containers, keys, exceptions and their causes, and objects by their `repr`.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return mask_secrets(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return mask_secrets(bytes(value).decode("utf-8", "replace"))
    if depth < MAX_DEPTH:
        if isinstance(value, Mapping):
            return {
                mask_secrets(str(key)): MASK if entry and is_secret_name(str(key)) else masked(entry, depth + 1)
                for key, entry in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [masked(entry, depth + 1) for entry in value]
        if isinstance(value, BaseException):
            return _masked_exception(value, depth)
    try:
        return mask_secrets(repr(value))
    except Exception as error:  # a log line must not fail because of what it shows
        return f"<{type(value).__name__} without repr: {type(error).__name__}>"


def _masked_exception(error: BaseException, depth: int) -> str:
    text = mask_secrets(f"{type(error).__name__}: {error}")
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text if cause is None or depth >= MAX_DEPTH else f"{text} (from {_masked_exception(cause, depth + 1)})"


def _mask_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask whatever looks like a secret, as the last step before the line is written."""
    own = {key: event.pop(key) for key in ("_record", "_from_structlog") if key in event}  # structlog's
    return {**masked(event), **own}


def configure_logs(level: str, *, stream: Any = None) -> None:
    """Send our logs, and those of libraries from WARNING on, to standard error as JSON lines."""
    # Local variables of frames hold keys, tokens and addresses with passwords: they are never shown.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=MAX_FRAMES)
    shared_processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(tracebacks),
        _mask_event,
    ]
    output = stream or sys.stderr
    structlog.configure(
        processors=[*shared_processors, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
        foreign_pre_chain=shared_processors,
    )
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda ended: _log_uncaught(
        ended.exc_type, ended.exc_value or ended.exc_type(), ended.exc_traceback
    )


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Log what ends the process, instead of Python's own traceback, which is not masked."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    structlog.get_logger().critical("uncaught_error", exc_info=(kind, error, traceback))
