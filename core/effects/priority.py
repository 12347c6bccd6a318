"""Orders effects by importance, for sending and for GitHub's rate limits."""

from enum import IntEnum


class SendPriority(IntEnum):
    """The order in which effects of one task are sent, and how much of GitHub's budget they may use.

    What people or agents wait for goes first. A check comes before the merge that may need it. Labels and card come
    last, so that they are written once, at the end of a chain of quick answers. The number is also how many tokens of
    the write bucket an effect leaves to more important ones.
    """

    AGENT = 0
    ANSWER = 1
    READ = 2
    CHECK = 3
    COMPLETION = 4
    LABELS = 5
    CARD = 6
    DIGEST = 7

    @property
    def is_urgent(self) -> bool:
        """Whether an agent, a person, or the next step of a task waits for it."""
        return self < SendPriority.LABELS
