"""Checks the order, writes the hand-off and switches to the branch before the agent starts."""

from __future__ import annotations

import json
from pathlib import Path

from handoff_text import handoff_text
from order import Order, read_order
from runner import ACTION_FOLDER, ANSWER, Refused, commit_of, git, give, run, setting, work_folder


def main() -> None:
    """Write `packet.json` and `handoff.md`, switch to the branch and set the step's outputs."""
    order = read_order(setting("TOKEN"))
    folder = work_folder()
    packet, handoff = folder / "packet.json", folder / "handoff.md"
    try:
        text = handoff_text(order, packet, folder / ANSWER)
    except (AttributeError, KeyError, TypeError) as error:
        raise Refused(f"The packet is not complete ({error!r}); docs/handoff.md shows one.") from error
    base_sha, start_sha = _switch(order)
    folder.mkdir(parents=True, exist_ok=True)
    packet.write_text(json.dumps(order.packet, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    handoff.write_text(text, encoding="utf-8")
    give(
        kind=order.kind,
        task=str(order.task),
        attempt=str(order.attempt),
        agent=order.agent,
        role=order.role,
        branch=order.branch,
        base=order.base,
        base_sha=base_sha,
        start_sha=start_sha,
        folder=str(folder),
        packet=str(packet),
        handoff=str(handoff),
        answer=str(folder / ANSWER),
    )


def _switch(order: Order) -> tuple[str, str]:
    """Be on the branch: the base's tip and the commit to start from.

    Where the branch is at the origin already (this attempt was run before), the work goes on from there, because
    what is pushed is never pushed over.
    """
    base = commit_of(f"refs/remotes/origin/{order.base}")
    if base is None:
        raise Refused(
            f"There is no branch {order.base!r} at the origin. Check out with fetch-depth: 0, and check `base`."
        )
    start = commit_of(f"refs/remotes/origin/{order.branch}") or base
    if order.role == "review":
        about = order.packet.get("pull_request") or {}
        start = commit_of(str(about.get("head_sha")))
        if start is None:
            raise Refused(
                f"The commit to review, {about.get('head_sha')!r}, is not here. Check out with fetch-depth: 0."
            )
    git("switch", "--quiet", "--no-track", "--force-create", order.branch, start)
    # Not --global: on a runner of one's own that would outlive the run.
    git("config", "user.name", f"{order.agent} (agent)")
    git("config", "user.email", "41898282+github-actions[bot]@users.noreply.github.com")
    exclude = Path(git("rev-parse", "--git-path", "info/exclude")[1])
    exclude.parent.mkdir(parents=True, exist_ok=True)
    with exclude.open("a", encoding="utf-8") as file:
        file.write(f"/{ACTION_FOLDER}/\n")
    return base, start


if __name__ == "__main__":
    run(main)
