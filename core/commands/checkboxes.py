"""Writes checkboxes that stand for commands, and finds those that people ticked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# By the word in the hidden marker: the command and its argument. A box does exactly what the typed command does.
COMMAND_OF: Mapping[str, tuple[str, str]] = {
    "ack": ("ack", ""),
    "retry": ("retry", ""),
    "ignore": ("resolve", "ignore"),
    "resume": ("resume", ""),
    "unblock": ("unblock", ""),
}
_BOX = re.compile(
    r"^[ \t]{0,3}[-*+] \[([ xX])\] [^\n]*<!-- orchestrator:do ([a-z]{1,20}) ([1-9][0-9]{0,9}) -->[ \t]*$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class CheckboxCommand:
    """A command on a task as a checkbox; `says` is its visible text, safe to show."""

    word: str
    task: int
    says: str = ""

    @property
    def command(self) -> tuple[str, str]:
        """The command and its argument."""
        return COMMAND_OF[self.word]

    @property
    def marker(self) -> str:
        """The hidden marker at the end of the line, by which a ticked box is recognised."""
        return f"<!-- orchestrator:do {self.word} {self.task} -->"


def boxes_in(text: str) -> dict[CheckboxCommand, bool]:
    """The boxes of a text, and whether each is ticked; of a duplicate box, whether either one is."""
    found: dict[CheckboxCommand, bool] = {}
    for mark, word, number in _BOX.findall(text.replace("\r\n", "\n")):
        if word in COMMAND_OF:
            box = CheckboxCommand(word, int(number))
            found[box] = found.get(box, False) or mark in "xX"
    return found


def ticked(before: str, after: str) -> tuple[CheckboxCommand, ...]:
    """The boxes that existed unticked before and are ticked now; boxes that a user adds do not count."""
    was = boxes_in(before)
    return tuple(box for box, now in boxes_in(after).items() if now and was.get(box) is False)
