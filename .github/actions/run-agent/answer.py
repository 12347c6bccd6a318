"""Hands in the text of an agent that was asked to plan or to review.

The text becomes one comment on the task, by the run's own token. Its last line holds the key that came with the
dispatch: the orchestrator recognises the result by it, whichever account wrote the comment.
"""

from __future__ import annotations

import re
from pathlib import Path

from order import Order
from publication import defuse, mask_secrets
from runner import ANSWER, Answered, Refused, call, patiently, read_file, say, setting, work_folder

LIMIT = 60_000  # characters of an answer
BODY_LIMIT = 64_000  # characters of it in the comment, which holds 65,536
_VERDICT = re.compile(r"\W*(approve|changes)(?:d|\s+requested)?\b[\s.:*_`-]*", re.IGNORECASE)


def read_words(folder: Path) -> str:
    """The agent's text. Raises Refused if it is empty."""
    file = folder / ANSWER
    text = (read_file(file, 4 * LIMIT + 1) or b"").decode("utf-8", "replace").strip()
    if not text:
        raise Refused(f"The agent wrote no answer to {file}. Read its log above for the reason.")
    return text if len(text) <= LIMIT else f"{text[:LIMIT]}\n\n[Cut here: the answer was longer.]"


def hand_in_words(order: Order, token: str) -> None:
    """Comment the plan, or the verdict with its text. The comment may already exist if a failed job is run again."""
    text = read_words(work_folder())
    kind, what = "plan", "Plan"
    if order.role == "review":
        found = _VERDICT.match(text)
        if found is None:
            raise Refused("The review begins with neither `approve` nor `changes`, so it has no verdict.")
        kind, text = found[1].lower(), text[found.end() :].strip()
        what = "Review: it can be merged" if kind == "approve" else "Review: changes are needed"
    if not order.answer_key:
        raise Refused("The dispatch has no key for the answer: the orchestrator did not make it.")
    marker = f"<!-- orchestrator:answer {order.task}-{order.attempt} {kind} {order.answer_key} -->"
    # The comment is public, and an agent writes what it likes: it notifies no one, and shows no credential.
    text = defuse(mask_secrets(text))[:BODY_LIMIT]
    body = f"### {what} (attempt {order.attempt}, by `{order.agent}`)\n\n{text}\n\n{marker}"
    path = f"/repos/{setting('GITHUB_REPOSITORY')}/issues/{order.task}/comments"
    try:
        # A duplicate counts once: the attempt is over with the first.
        comment = patiently(lambda: call("POST", path, token, {"body": body}))
    except Answered as error:
        if error.status == 403:
            raise Refused(
                "The run's token may not comment: give the job `hand-in` the permission `issues: write`. "
                f"GitHub says: {error.message}"
            ) from error
        raise
    address = " ".join(str(comment.get("html_url", "")).split()) if isinstance(comment, dict) else ""
    say("notice", f"Handed in: {address}")
