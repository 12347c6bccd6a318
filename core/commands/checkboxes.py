"""Boxes that people tick instead of typing a command: how one is written, and which were ticked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# By the word in the hidden marker: the command and its argument. A box means what is typed, and nothing else.
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
    """A command on a task, to be ticked; `says` is what the reader sees, safe to be shown."""

    word: str
    task: int
    says: str = ""

    @property
    def command(self) -> tuple[str, str]:
        """The command that it stands for, and its argument."""
        return COMMAND_OF[self.word]

    @property
    def marker(self) -> str:
        """What a ticked box is known by; it stands at the end of its line."""
        return f"<!-- orchestrator:do {self.word} {self.task} -->"


def boxes_in(text: str) -> dict[CheckboxCommand, bool]:
    """The boxes of a text, and whether each is ticked; of one that is there twice, whether one of the two is."""
    found: dict[CheckboxCommand, bool] = {}
    for mark, word, number in _BOX.findall(text.replace("\r\n", "\n")):
        if word in COMMAND_OF:
            box = CheckboxCommand(word, int(number))
            found[box] = found.get(box, False) or mark in "xX"
    return found


def ticked(before: str, after: str) -> tuple[CheckboxCommand, ...]:
    """The boxes that were there and empty, and are ticked now; what somebody writes in anew is no box of ours."""
    was = boxes_in(before)
    return tuple(box for box, now in boxes_in(after).items() if now and was.get(box) is False)
