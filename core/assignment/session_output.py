"""Reads a plan or verdict from a session's last message, in the syntax of comments.

Only a complete command at the beginning of a line counts, as in comments: a message that only mentions approving is no
approval. Everything else is no answer, except that a planner's last message is its plan.
"""

from __future__ import annotations

from core.commands.parser import parse_commands
from core.commands.registry import COMMANDS, WHOLE
from core.signals.base import PlanDelivered, ReviewDelivered
from core.task.model import Role

LONGEST = 60_000  # characters of the last message that are read


def answer(words: str, role: Role, attempt: int, *, ended: bool = True) -> PlanDelivered | ReviewDelivered | None:
    """The plan or verdict in this text; None if it is neither.

    Until the session has `ended`, a plan needs the command.
    """
    for said in parse_commands(words[:LONGEST], COMMANDS, WHOLE):
        if role is Role.PLAN and said.name == "plan":
            return PlanDelivered(attempt, said.argument)
        if role is Role.REVIEW and said.name == "review":
            verdict, *more = said.argument.split(maxsplit=1) or [""]
            if verdict.lower() in ("approve", "changes"):
                return ReviewDelivered(attempt, verdict.lower() == "approve", "".join(more))
    return PlanDelivered(attempt, words[:LONGEST]) if role is Role.PLAN and ended and words.strip() else None
