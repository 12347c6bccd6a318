"""Commits the agent's changes and packs its commits into one file, for a job that the agent never touched."""

from __future__ import annotations

from answer import read_words
from order import read_order
from runner import (
    ACTION_FOLDER,
    ANSWER,
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
    folder = work_folder()
    folder.mkdir(parents=True, exist_ok=True)
    bundle, answer = folder / BUNDLE, folder / ANSWER
    bundle.unlink(missing_ok=True)
    if read_order(setting("TOKEN")).role != "implement":
        text = read_words(folder)
        # A file of its own: what uploads it would follow a link.
        answer.unlink()
        answer.write_text(text, encoding="utf-8")
        return
    answer.unlink(missing_ok=True)
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
    git("bundle", "create", "--quiet", str(bundle), "HEAD", f"^{base}")


def _message() -> str:
    order = read_order(setting("TOKEN"))
    return f"{order.title(72)}\n\nTask {order.task}, attempt {order.attempt}, by {order.agent}."


if __name__ == "__main__":
    run(main)
