"""Reads the order in a dispatch: which agent works on which task, and the hand-off packet.

Only users with write access can dispatch, but the text in the packet comes from people who may have none. So everything
is checked here before any of it becomes the name of a branch or a file, or part of a command.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import Refused, call, git, patiently, setting

VERSION = 1  # of the packet
MAX_COMMENTS = 50

_WHOLE = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_AGENT = re.compile(r"[a-z0-9][a-z0-9+#._-]{0,43}", re.ASCII)
_PART = re.compile(r"<!-- orchestrator:packet ([0-9]{1,2})/([0-9]{1,2}) ([A-Za-z0-9_=-]+) -->", re.ASCII)
_COMMENT = re.compile(
    r"(?P<server>https?://[^/\s]{1,253})/(?P<repository>[\w.-]{1,39}/[\w.-]{1,100})/(?:issues|pull)/"
    r"(?P<number>[0-9]{1,9})#issuecomment-(?P<id>[0-9]{1,18})",
    re.ASCII,
)


@dataclass(frozen=True)
class Order:
    """A checked order. `packet` is complete in itself."""

    task: int
    attempt: int
    agent: str
    branch: str
    base: str
    packet: dict[str, Any]
    answer_key: str = ""  # by which the orchestrator knows the answer of this attempt; for a plan or a review

    @property
    def role(self) -> str:
        """What is asked for: `plan`, `implement` or `review`."""
        return str(self.packet.get("role", "implement"))

    @property
    def kind(self) -> str:
        """Who does the work: `codex` and `codex-…` are Codex, `claude` and `claude-…` Claude Code, else `command`."""
        family = self.agent.split("-", 1)[0]
        return family if family in ("codex", "claude") else "command"

    def title(self, limit: int) -> str:
        """The task's title on one line, in which nothing mentions anybody and nothing closes another issue."""
        visible = "".join(" " if c.isspace() else c for c in str(self.packet["task"]["title"]) if _shown(c))
        text = " ".join(visible.split())
        text = text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
        # A zero-width space behind what would start a mention, a reference or the address of an issue.
        text = re.sub(r"@(?=[A-Za-z0-9])|#(?=[0-9])|\bGH-(?=[0-9])|https?:(?=//)", "\\g<0>\u200b", text, flags=re.I)
        return text or f"Task {self.task}"


def _shown(character: str) -> bool:
    return character.isspace() or unicodedata.category(character)[0] != "C"


def read_order(token: str) -> Order:
    """The order of the dispatch that started this run, also where a called workflow runs.

    Raises Refused when this was no dispatch of a task, or when its parts do not agree.
    """
    event = json.loads(Path(setting("GITHUB_EVENT_PATH")).read_text(encoding="utf-8"))
    payload = event.get("client_payload") or event.get("inputs")
    if not isinstance(payload, dict) or "task" not in payload:
        raise Refused(
            "This run was not started by a dispatch of a task. It needs repository_dispatch (agent-task) or "
            "workflow_dispatch with the inputs task, attempt, agent, branch, base and packet."
        )
    task, attempt = _whole(payload, "task"), _whole(payload, "attempt")
    agent, branch, base = _text(payload, "agent"), _text(payload, "branch"), _text(payload, "base")
    if not _AGENT.fullmatch(agent):
        raise Refused(f"The agent's name {agent!r} is not valid in a configuration.")
    if branch != f"task/{task}-{attempt}":
        raise Refused(f"The branch {branch!r} is not that of attempt {attempt} at task {task}: task/{task}-{attempt}.")
    if git("check-ref-format", f"refs/heads/{base}", statuses=(0, 1))[0] or base.startswith("-"):
        raise Refused(f"The base {base!r} is not the name of a branch.")
    packet = _object(payload.get("packet"))
    key = packet.pop("answer_key", "")
    if not isinstance(key, str) or not re.fullmatch(r"[0-9a-f]{0,64}", key):
        raise Refused("The dispatch's answer key is not one that the orchestrator makes.")
    if "comments" in packet:
        packet = _from_comments(packet["comments"], task, attempt, token)
    _check(packet, {"attempt": attempt, "agent": agent, "branch": branch, "base": base}, task)
    if packet.get("role", "implement") not in ("plan", "implement", "review"):
        raise Refused(f"The packet asks for {packet['role']!r}; this action supports plan, implement and review.")
    return Order(task, attempt, agent, branch, base, packet, key)


def _whole(payload: dict[str, Any], key: str) -> int:
    value = payload.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str) or not _WHOLE.fullmatch(str(value)):
        raise Refused(f"The dispatch's {key} is {value!r}; it must be a whole number from 1 on.")
    return int(value)


def _text(payload: dict[str, Any], key: str) -> str:
    value = payload.get(key)
    if not isinstance(value, str) or not value.isprintable() or not 1 <= len(value) <= 250:
        raise Refused(f"The dispatch's {key} is {value!r}; it must be a name of at most 250 characters.")
    return value


def _object(value: object) -> dict[str, Any]:
    """The packet, which `workflow_dispatch` carries as JSON text because its inputs are strings."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise Refused(f"The packet is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refused("The dispatch has no packet; the packet must be a JSON object.")
    return value


def _check(packet: dict[str, Any], expected: dict[str, object], task: int) -> None:
    """Refuse a packet that belongs to another run."""
    if packet.get("version") != VERSION:
        raise Refused(
            f"The packet has version {packet.get('version')!r}, but this action supports {VERSION}: "
            "copy the newer .github/actions/run-agent into the repository."
        )
    about = packet.get("task")
    if not isinstance(about, dict) or about.get("number") != task or not isinstance(about.get("title"), str):
        raise Refused(f"The packet is not about task {task}.")
    for key, value in expected.items():
        if packet.get(key) != value:
            raise Refused(
                f"The packet's {key} is {packet.get(key)!r}, the dispatch's {value!r}: they must be the same."
            )
    if str(packet.get("repository")).lower() != setting("GITHUB_REPOSITORY").lower():
        raise Refused(f"The packet is for {packet.get('repository')!r}, not for this repository.")


def _from_comments(addresses: object, task: int, attempt: int, token: str) -> dict[str, Any]:
    """The packet that was too large for the dispatch, assembled from comments on the task.

    Any user can comment and copy the markers: only comments by the account that sent the dispatch count, by id.
    """
    if not isinstance(addresses, list) or not 1 <= len(addresses) <= MAX_COMMENTS:
        raise Refused(f"The packet must name 1 to {MAX_COMMENTS} comments.")
    numbers = [_number(address, task) for address in addresses]
    chunks = []
    for part, number in enumerate(numbers, 1):
        key = base64.urlsafe_b64encode(f"handoff:{task}:{attempt}:{part}".encode()).decode()
        lines = _comment(number, task, token).rstrip().splitlines()[-2:]
        found = _PART.fullmatch(lines[0]) if lines else None
        if found is None or lines[1:] != [f"<!-- orchestrator:key {key} -->"]:
            raise Refused(f"Comment {number} is not part {part} of the hand-off of this attempt.")
        if (int(found[1]), int(found[2])) != (part, len(numbers)):
            raise Refused(
                f"Comment {number} has part {found[1]} of {found[2]}, but the dispatch names it as part {part} of "
                f"{len(numbers)}: the hand-off is incomplete."
            )
        try:
            chunks.append(base64.b64decode(found[3], altchars=b"-_", validate=True))
        except ValueError as error:
            raise Refused(f"Comment {number} is damaged: its content is not base64 ({error}).") from error
    try:
        text = b"".join(chunks).decode("utf-8")
    except ValueError as error:
        raise Refused(f"The packet is not UTF-8: {error}") from error
    return _object(text)


def _number(address: object, task: int) -> str:
    """The number of the comment at this address."""
    found = _COMMENT.fullmatch(address) if isinstance(address, str) else None
    if (
        found is None
        or found["server"] != setting("GITHUB_SERVER_URL")
        or found["repository"].lower() != setting("GITHUB_REPOSITORY").lower()
        or int(found["number"]) != task
    ):
        raise Refused(f"{address!r} is not the address of a comment on task {task} of this repository.")
    return found["id"]


def _comment(number: str, task: int, token: str) -> str:
    """The text of the comment, if it is on this task and by who started the run."""
    path = f"/repos/{setting('GITHUB_REPOSITORY')}/issues/comments/{number}"
    comment = patiently(lambda: call("GET", path, token))
    try:
        author, issue, body = comment["user"]["id"], str(comment["issue_url"]), str(comment["body"])
    except (KeyError, TypeError) as error:
        raise Refused(f"GitHub's answer about comment {number} is not that of a comment.") from error
    if str(author) != setting("GITHUB_ACTOR_ID"):
        raise Refused(
            f"The account that started this run did not write comment {number}, so the run ignores it. "
            "To start a run by hand, give the packet itself."
        )
    if not issue.endswith(f"/issues/{task}"):
        raise Refused(f"Comment {number} is not on task {task}.")
    return body
