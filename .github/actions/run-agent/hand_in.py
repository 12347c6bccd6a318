"""Hands in the work: pushes the branch and opens the pull request.

This runs in a job of its own with the token that may write; the agent never had access to its machine. The output of
the agent's job is only data here: commits in a bundle. No file of them is checked out and nothing of them is run.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from answer import hand_in_words
from order import Order, read_order
from runner import (
    BUNDLE,
    Answered,
    Refused,
    Unclear,
    call,
    changes_something,
    commit_of,
    git,
    give,
    is_ancestor,
    patiently,
    read_file,
    run,
    say,
    setting,
    work_folder,
)

WORK = "refs/orchestrator/work"


def main() -> None:
    """Push and open the pull request. Both may have happened already, when a failed job is run again."""
    token = setting("TOKEN")
    order = read_order(setting("RUN_TOKEN"))
    if order.role != "implement":
        hand_in_words(order, setting("RUN_TOKEN"))
        return
    if token == setting("RUN_TOKEN"):
        say(
            "warning",
            "Handed in with the run's own token: GitHub starts no workflows for what it pushes and opens, so the pull "
            "request gets no CI from Actions. Set the secret AGENT_TOKEN or an App's key (docs/agents.md).",
        )
    head = _work(order, work_folder() / BUNDLE)
    patiently(lambda: _push(order, head, token))
    address = patiently(lambda: _pull_request(order, token))
    give(pull_request=address)
    say("notice", f"Handed in: {address}")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(f"Attempt {order.attempt} at #{order.task} by `{order.agent}` was handed in: {address}\n")


def _work(order: Order, bundle: Path) -> str:
    """The head of the work, taken from the bundle into this repository and checked."""
    if read_file(bundle, 1) is None:  # a link is not followed
        raise Refused(f"There is no work at {bundle}: did the step `collect` run?")
    git("-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags", str(bundle.absolute()), f"+HEAD:{WORK}")
    head, base = commit_of(WORK), commit_of(f"refs/remotes/origin/{order.base}")
    if base is None:
        raise Refused(
            f"There is no branch {order.base!r} at the origin. Check out with fetch-depth: 0, and check `base`."
        )
    if head is None or not changes_something(base, head):
        raise Refused(f"The work changes nothing on {order.base!r}, so there is nothing to hand in.")
    return head


def _push(order: Order, head: str, token: str) -> None:
    """Push without force. Raises Refused when the branch holds other work or a newer attempt was handed in."""
    ref = f"refs/heads/{order.branch}"
    pattern = f"refs/heads/task/{order.task}-*"
    status, listed, errors = git("ls-remote", "origin", pattern, token=token, statuses=(0, 128))
    if status:
        raise Unclear(f"The origin cannot be read: {errors[-1000:]}")
    there = {name: sha for sha, _, name in (line.partition("\t") for line in listed.splitlines())}
    attempts = [
        int(n[1]) for n in (re.fullmatch(rf"refs/heads/task/{order.task}-([0-9]{{1,9}})", r) for r in there) if n
    ]
    if attempts and max(attempts) > order.attempt:
        raise Refused(
            f"Attempt {max(attempts)} at task {order.task} was handed in before this one, so this one is ignored."
        )
    if there.get(ref) == head:
        return
    if ref in there:
        git("fetch", "--quiet", "--no-tags", "origin", ref, token=token)
        if not is_ancestor(there[ref], head):
            raise Refused(
                f"The branch {order.branch} has commits that this work does not include, so nothing was pushed. "
                "Comment /retry on the task to start a new attempt."
            )
    status, _, errors = git("push", "--quiet", "origin", f"{head}:{ref}", token=token, statuses=(0, 1, 128))
    if status == 0:
        return
    if "workflow" in errors and "refusing to allow" in errors:
        raise Refused(
            "The work changes files in .github/workflows, which this token may not change. Give the token of "
            "AGENT_TOKEN or "
            f"of the App the permission `workflows` if agents should do that. ({errors[-500:]})"
        )
    if "rejected]" in errors or "403" in errors:
        raise Refused(f"The push was refused: {errors[-1000:]}")
    raise Unclear(f"The push failed: {errors[-1000:]}")


def _pull_request(order: Order, token: str) -> str:
    """The address of the open pull request of this branch; it is opened when there is none."""
    repository = setting("GITHUB_REPOSITORY")
    head = quote(f"{repository.split('/', 1)[0]}:{order.branch}", safe="")
    # Looked for on every try: after an unclear answer it may be there.
    found = call("GET", f"/repos/{repository}/pulls?state=open&head={head}&base={quote(order.base, safe='')}", token)
    if isinstance(found, list) and found:
        return _address(found[0])
    body = {
        "title": order.title(200),
        "head": order.branch,
        "base": order.base,
        "body": f"Closes #{order.task}\n\nAttempt {order.attempt}, by `{order.agent}`.",
    }
    try:
        return _address(call("POST", f"/repos/{repository}/pulls", token, body))
    except Answered as error:
        if error.status == 403:
            raise Refused(
                "The token may not open pull requests: give it `pull requests: write`, or set AGENT_TOKEN "
                f"(docs/agents.md). GitHub says: {error.message}"
            ) from error
        raise


def _address(pull: Any) -> str:
    try:
        return " ".join(str(pull["html_url"]).split())
    except (KeyError, TypeError) as error:
        raise Refused("GitHub's answer is not that of a pull request.") from error


if __name__ == "__main__":
    run(main)
