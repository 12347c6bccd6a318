"""Reads results of workflow runs that deliver text: a plan, or the verdict of a review.

A run writes its result as a comment on the task, by whatever account its token belongs to: GitHub's own bot for
Actions, an App, a person. So the account proves nothing. The proof is a key that only the dispatch of this attempt
carried, made from the webhook secret; the comment returns it in its last line. It is useless afterwards, because the
attempt is over by then.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from core.signals.base import PlanDelivered, ReviewDelivered

_MARKER = re.compile(
    r"<!-- orchestrator:answer ([1-9][0-9]{0,8})-([1-9][0-9]{0,5}) (plan|approve|changes) ([0-9a-f]{32}) -->", re.ASCII
)


def result_key(secret: SecretStr, repository_id: int, number: int, attempt: int) -> str:
    """The key that authenticates the result of this attempt."""
    message = f"answer of {repository_id}:{number}:{attempt}".encode()
    return hmac.new(secret.get_secret_value().encode(), message, hashlib.sha256).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class RunResult:
    """A result as a comment states it; `is_genuine` says whether it belongs to the attempt."""

    number: int
    attempt: int
    kind: str  # plan | approve | changes
    text: str
    key: str

    def is_genuine(self, secrets: Sequence[SecretStr], repository_id: int) -> bool:
        """Whether its key belongs to the dispatch. During a change of the secret, each valid secret counts."""
        expected = (result_key(secret, repository_id, self.number, self.attempt) for secret in secrets)
        return any(hmac.compare_digest(self.key, key) for key in expected)

    @property
    def signal(self) -> PlanDelivered | ReviewDelivered:
        """The result as a signal."""
        if self.kind == "plan":
            return PlanDelivered(self.attempt, self.text)
        return ReviewDelivered(self.attempt, self.kind == "approve", self.text)


def parse_run_result(body: str) -> RunResult | None:
    """The result in a comment, or None. Its first line is for people, its last one holds the marker."""
    lines = body.strip().splitlines()
    match = _MARKER.fullmatch(lines[-1].strip()) if lines else None
    if match is None:
        return None
    return RunResult(int(match[1]), int(match[2]), match[3], "\n".join(lines[1:-1]).strip(), match[4])
