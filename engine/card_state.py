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
LIMIT: Final = 20_000  # characters of a marker; what is more is left out, the least important first
MAX_STATE: Final = 4 * 1024 * 1024  # bytes of a state that is read: ours are a hundredth of that
_PURPOSE: Final = b"mcp-orchestrator: the state in a task's card"

# What the issue itself says, and what is read again.
_READ_AGAIN: Final = frozenset(
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
_FOUND_AGAIN: Final = frozenset({"trial", "rivals", "files", "mergeable_sha", "tried_base_sha", "base_sha"})


class BadCardState(Exception):
    """The comment holds no state that we can trust; the words say why."""


class CardStateCodec:
    """Seals with the App's key; reads what was sealed with it, or with a former one."""

    def __init__(self, app_id: int, private_key_pem: str, *former_pems: str) -> None:
        """Raises ValueError for what is no private key in PEM form."""
        self._app_id = app_id
        self._keys = [_derived(pem) for pem in (private_key_pem, *former_pems)]

    def marker(self, task: Task, room: int = LIMIT) -> str:
        """The hidden line of a task's card, of at most so many characters."""
        for state in _smaller_and_smaller(task):
            packed = _packed(state)
            sealed = f"{VERSION}.{packed}.{self._mac(self._keys[0], task.repository_id, task.number, packed)}"
            line = f"{CARD_MARKER}{sealed} -->"
            if len(line) <= min(room, LIMIT):
                return line
        return f"{CARD_MARKER}{VERSION} -->"  # no room at all: the visible card goes first

    def read(self, body: str, repository_id: int, number: int) -> dict[str, Any]:
        """The state in a card of this issue. Raises NotSealed."""
        line = body.rstrip().rpartition("\n")[2]
        if not (line.startswith(CARD_MARKER) and line.endswith(" -->")):
            raise BadCardState("its card has no hidden state")
        version, _, sealed = line.removeprefix(CARD_MARKER).removesuffix(" -->").partition(".")
        packed, _, mac = sealed.partition(".")
        if version != VERSION or not mac:
            raise BadCardState("its card is from a version that did not sign it")
        given = mac.encode("utf-8", "replace")
        expected = (self._mac(key, repository_id, number, packed).encode() for key in self._keys)
        if not any(hmac.compare_digest(one, given) for one in expected):
            raise BadCardState("the signature of its card is not valid for this App and issue")
        return _unpacked(packed)

    def _mac(self, key: bytes, repository_id: int, number: int, packed: str) -> str:
        said = "\n".join((VERSION, str(self._app_id), str(repository_id), str(number), packed))
        return _text(hmac.new(key, said.encode("utf-8", "replace"), hashlib.sha256).digest())


def _derived(pem: str) -> bytes:
    try:
        key = load_pem_private_key(pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    except (TypeError, ValueError) as error:
        raise ValueError("it is not a private key in PEM form") from error
    # Of the key itself, not of its text: line ends and headers differ from file to file.
    material = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return hmac.new(hashlib.sha256(material).digest(), _PURPOSE, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _packed(state: dict[str, Any]) -> str:
    return _text(zlib.compress(json.dumps(state, separators=(",", ":"), sort_keys=True).encode(), 9))


def _unpacked(packed: str) -> dict[str, Any]:
    try:
        inflate = zlib.decompressobj()
        raw = inflate.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)), MAX_STATE)
        state = json.loads(raw) if inflate.eof else None
    except (ValueError, zlib.error, binascii.Error) as error:
        raise BadCardState("the state in its card cannot be read") from error
    if not isinstance(state, dict):
        raise BadCardState("the state in its card cannot be read")
    return state


def _smaller_and_smaller(task: Task) -> Iterator[dict[str, Any]]:
    """The state of a task; then without the words that take most room, those of long ago first."""
    state = {name: value for name, value in task_to_json(task).items() if name not in _READ_AGAIN and value is not None}
    if state.get("pull"):
        state["pull"] = {name: value for name, value in state["pull"].items() if name not in _FOUND_AGAIN}
    yield state
    cuts: Sequence[Callable[[dict[str, Any]], None]] = (
        lambda made: made.get("choice", {}).update(candidates=[]),
        lambda made: _shorten(made["history"][:-1], 500),
        lambda made: _shorten(made["history"], 2_000),
        lambda made: _shorten(made["history"], 0),
        lambda made: made.pop("plan", None),
        lambda made: made.update(history=[_bare(attempt) for attempt in made["history"]]),
        lambda made: made.update(history=made["history"][-20:], retried_after=_kept(made, 20)),
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


def _bare(attempt: dict[str, Any]) -> dict[str, Any]:
    return attempt | {"feedback": None, "reason": attempt["reason"][:100]}


def _kept(made: dict[str, Any], attempts: int) -> int:
    """Behind how many of the attempts that are left the last `/retry` lay."""
    return max(0, int(made["retried_after"]) - max(0, len(made["history"]) - attempts))
