"""Commits the agent's changes and packs its commits into one file, for a job that the agent never touched."""

from __future__ import annotations

from answer import read_words
from order import read_order
from runner import (
    ACTION_FOLDER,
    BUNDLE,
    Refused,
    changes_something,
    commit_of,
    git,
    is_ancestor,
    run,
    setting,
    work_folder,
)


def main() -> None:
    """Write the bundle. Raises Refused if nothing was changed, or if history was rewritten.

    Of a plan or a review only the text is kept: other changes of the agent are dropped.
    """
    if read_order(setting("TOKEN")).role != "implement":
        read_words(work_folder())
        return
    base, start = setting("BASE_SHA"), setting("START_SHA")
    git("add", "--all")
    # It is excluded already, but an agent or a .gitignore may have lifted that.
    git("rm", "-r", "--cached", "--quiet", "--force", "--ignore-unmatch", ACTION_FOLDER)
    if git("diff", "--cached", "--quiet", "--no-ext-diff", statuses=(0, 1))[0]:
        git("commit", "--quiet", "--cleanup=whitespace", "--message", _message())
    head = commit_of("HEAD")
    if head is None or not is_ancestor(start, head):
        raise Refused("The agent rewrote the history of its branch, so its work cannot be handed in.")
    if not changes_something(base, head):
        raise Refused("The agent changed nothing, so there is nothing to hand in. Read its log above for the reason.")
    folder = work_folder()
    folder.mkdir(parents=True, exist_ok=True)
    git("bundle", "create", "--quiet", str(folder / BUNDLE), "HEAD", f"^{base}")


def _message() -> str:
    order = read_order(setting("TOKEN"))
    return f"{order.title(72)}\n\nTask {order.task}, attempt {order.attempt}, by {order.agent}."


if __name__ == "__main__":
    run(main)
