"""Reads a plan or verdict from a session's last message, in the syntax of comments.

Only a complete command at the beginning of a line counts, as in comments: a message that only mentions approving is no
approval. Everything else is no answer, except that a planner's last message is its plan.
"""

from __future__ import annotations

from core.commands.parser import parse_commands
from core.signals.base import PlanDelivered, ReviewDelivered
from core.task.model import Role

_ANSWERS = ("plan", "review")  # the commands that a session can answer with
MAX_OUTPUT_LENGTH = 60_000  # characters of the last message that are read


def parse_session_output(
    output: str, role: Role, attempt: int, *, ended: bool = True
) -> PlanDelivered | ReviewDelivered | None:
    """The plan or verdict in this text; None if it is neither.

    Until the session has `ended`, a plan needs the command.
    """
    for command in parse_commands(output[:MAX_OUTPUT_LENGTH], _ANSWERS):
        if role is Role.PLAN and command.name == "plan":
            return PlanDelivered(attempt, command.argument)
        if role is Role.REVIEW and command.name == "review":
            verdict, *details = command.argument.split(maxsplit=1) or [""]
            if verdict.lower() in ("approve", "changes"):
                return ReviewDelivered(attempt, verdict.lower() == "approve", "".join(details))
    return (
        PlanDelivered(attempt, output[:MAX_OUTPUT_LENGTH]) if role is Role.PLAN and ended and output.strip() else None
    )
