"""What a task's card hides: the state of the task, sealed, so that the database can be made again from GitHub alone.

The seal is an HMAC over the App, the repository's id, the issue's number and the state. Its key is made from the App's
private key: a card is public, and a reader could use it to guess a webhook secret, which people choose. So
only the bot can write a card, and a card copied to another issue has no meaning there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from adapters.database.codec import task_to_json
from core.task.model import Task
from core.texts import CARD_MARKER

VERSION: Final = "v2"
MAX_MARKER_LENGTH: Final = 20_000  # characters of a marker; what is more is left out, the least important first
MAX_STATE_BYTES: Final = 4 * 1024 * 1024  # bytes of a state that is read: ours are a hundredth of that
_PURPOSE: Final = b"mcp-orchestrator: the state in a task's card"

# What the issue itself says, and what is read again.
_ISSUE_FIELDS: Final = frozenset(
    {
        "repository_id",
        "repository",
        "number",
        "issue_id",
        "title",
        "url",
        "author",
        "intake",
        "fingerprint",
        "created_at",
    }
    | {"forecast"}
)
_REREAD_PULL_FIELDS: Final = frozenset(
    {"trial_merge", "conflicting_pulls", "files", "mergeable_sha", "trial_base_sha", "base_sha"}
)


class BadCardState(Exception):
    """The comment holds no state that we can trust; the words say why."""


class CardStateCodec:
    """Seals with the App's key; reads what was sealed with it, or with a former one."""

    def __init__(self, app_id: int, private_key_pem: str, *former_pems: str) -> None:
        """Raises ValueError for what is no private key in PEM form."""
        self._app_id = app_id
        self._keys = [_derive_key(pem) for pem in (private_key_pem, *former_pems)]

    def make_marker(self, task: Task, max_length: int = MAX_MARKER_LENGTH) -> str:
        """The hidden line of a task's card, of at most so many characters."""
        for state in _shrinking_states(task):
            packed = _pack(state)
            signed = f"{VERSION}.{packed}.{self._mac(self._keys[0], task.repository_id, task.number, packed)}"
            line = f"{CARD_MARKER}{signed} -->"
            if len(line) <= min(max_length, MAX_MARKER_LENGTH):
                return line
        return f"{CARD_MARKER}{VERSION} -->"  # no room at all: the visible card goes first

    def read(self, body: str, repository_id: int, number: int) -> dict[str, Any]:
        """The state in a card of this issue. Raises NotSealed."""
        line = body.rstrip().rpartition("\n")[2]
        if not (line.startswith(CARD_MARKER) and line.endswith(" -->")):
            raise BadCardState("its card has no hidden state")
        version, _, signed = line.removeprefix(CARD_MARKER).removesuffix(" -->").partition(".")
        packed, _, mac = signed.partition(".")
        if version != VERSION or not mac:
            raise BadCardState("its card is from a version that did not sign it")
        received = mac.encode("utf-8", "replace")
        expected = (self._mac(key, repository_id, number, packed).encode() for key in self._keys)
        if not any(hmac.compare_digest(candidate, received) for candidate in expected):
            raise BadCardState("the signature of its card is not valid for this App and issue")
        return _unpack(packed)

    def _mac(self, key: bytes, repository_id: int, number: int, packed: str) -> str:
        message = "\n".join((VERSION, str(self._app_id), str(repository_id), str(number), packed))
        return _to_base64(hmac.new(key, message.encode("utf-8", "replace"), hashlib.sha256).digest())


def _derive_key(pem: str) -> bytes:
    try:
        key = load_pem_private_key(pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    except (TypeError, ValueError) as error:
        raise ValueError("it is not a private key in PEM form") from error
    # Of the key itself, not of its text: line ends and headers differ from file to file.
    material = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return hmac.new(hashlib.sha256(material).digest(), _PURPOSE, hashlib.sha256).digest()


def _to_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _pack(state: dict[str, Any]) -> str:
    return _to_base64(zlib.compress(json.dumps(state, separators=(",", ":"), sort_keys=True).encode(), 9))


def _unpack(packed: str) -> dict[str, Any]:
    try:
        inflate = zlib.decompressobj()
        raw = inflate.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)), MAX_STATE_BYTES)
        state = json.loads(raw) if inflate.eof else None
    except (ValueError, zlib.error, binascii.Error) as error:
        raise BadCardState("the state in its card cannot be read") from error
    if not isinstance(state, dict):
        raise BadCardState("the state in its card cannot be read")
    return state


def _shrinking_states(task: Task) -> Iterator[dict[str, Any]]:
    """The state of a task; then without the words that take most room, those of long ago first."""
    state = {
        name: value for name, value in task_to_json(task).items() if name not in _ISSUE_FIELDS and value is not None
    }
    if state.get("pull"):
        state["pull"] = {name: value for name, value in state["pull"].items() if name not in _REREAD_PULL_FIELDS}
    yield state
    cuts: Sequence[Callable[[dict[str, Any]], None]] = (
        lambda data: data.get("choice", {}).update(candidates=[]),
        lambda data: _shorten(data["history"][:-1], 500),
        lambda data: _shorten(data["history"], 2_000),
        lambda data: _shorten(data["history"], 0),
        lambda data: data.pop("plan", None),
        lambda data: data.update(history=[_without_details(attempt) for attempt in data["history"]]),
        lambda data: data.update(history=data["history"][-20:], retry_offset=_remaining_retry_offset(data, 20)),
    )
    for cut in cuts:
        cut(state)
        yield state


def _shorten(attempts: list[dict[str, Any]], characters: int) -> None:
    for attempt in attempts:
        if feedback := attempt.get("feedback"):
            feedback["details"] = feedback["details"][:characters]
            for check in feedback.get("failed_checks", ()):
                check["log_tail"] = check["log_tail"][-characters:] if characters else ""
            if not characters:
                feedback["comments"] = []


def _without_details(attempt: dict[str, Any]) -> dict[str, Any]:
    return attempt | {"feedback": None, "reason": attempt["reason"][:100]}


def _remaining_retry_offset(data: dict[str, Any], attempt_count: int) -> int:
    """Behind how many of the attempts that are left the last `/retry` lay."""
    return max(0, int(data["retry_offset"]) - max(0, len(data["history"]) - attempt_count))
