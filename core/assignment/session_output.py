"""What a session that planned or reviewed said at its end, by the very words that a comment would have.

Read is only a whole command at the beginning of a line, as in comments: whoever merely talks of approving has not
approved. What is not read this way is no answer, except that a planner's last message is its plan.
"""

from __future__ import annotations

from core.commands.parser import parse_commands
from core.commands.registry import COMMANDS, WHOLE
from core.signals.base import PlanDelivered, ReviewDelivered
from core.task.model import Role

LONGEST = 60_000  # characters of last words that are looked at


def answer(words: str, role: Role, attempt: int, *, ended: bool = True) -> PlanDelivered | ReviewDelivered | None:
    """The plan or the verdict that these words are; None when they are neither.

    While the session has not `ended`, a plan has to be called one.
    """
    for said in parse_commands(words[:LONGEST], COMMANDS, WHOLE):
        if role is Role.PLAN and said.name == "plan":
            return PlanDelivered(attempt, said.argument)
        if role is Role.REVIEW and said.name == "review":
            verdict, *more = said.argument.split(maxsplit=1) or [""]
            if verdict.lower() in ("approve", "changes"):
                return ReviewDelivered(attempt, verdict.lower() == "approve", "".join(more))
    return PlanDelivered(attempt, words[:LONGEST]) if role is Role.PLAN and ended and words.strip() else None
