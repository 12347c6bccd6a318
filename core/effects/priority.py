"""The order in which what is wanted of the world is sent, and who waits first when GitHub's limits are near."""

from enum import IntEnum


class SendPriority(IntEnum):
    """In which order the effects of one task are sent, and how much of GitHub's budget they may use.

    What somebody waits for goes first. A check comes before the merge that may need it; labels and card come last, so
    that they are written once, when a chain of quick answers has come to its end. The number of a lane is also how
    many tokens of the bucket of writes it leaves to the lanes before it.
    """

    AGENT = 0
    ANSWER = 1
    LOOK = 2
    CHECK = 3
    END = 4
    LABELS = 5
    CARD = 6
    DIGEST = 7

    @property
    def is_urgent(self) -> bool:
        """Whether an agent, a person, or the next step of a task waits for it."""
        return self < SendPriority.LABELS
