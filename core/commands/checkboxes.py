"""Writes checkboxes that stand for commands, and finds those that people ticked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# By the word in the hidden marker: the command and its argument. A box does exactly what the typed command does.
COMMAND_BY_KEYWORD: Mapping[str, tuple[str, str]] = {
    "ack": ("ack", ""),
    "retry": ("retry", ""),
    "ignore": ("resolve", "ignore"),
    "resume": ("resume", ""),
    "unblock": ("unblock", ""),
}
_CHECKBOX = re.compile(
    r"^[ \t]{0,3}[-*+] \[([ xX])\] [^\n]*<!-- orchestrator:do ([a-z]{1,20}) ([1-9][0-9]{0,9}) -->[ \t]*$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class CheckboxCommand:
    """A command on a task as a checkbox; `says` is its visible text, safe to show."""

    keyword: str
    task: int
    label: str = ""

    @property
    def command(self) -> tuple[str, str]:
        """The command and its argument."""
        return COMMAND_BY_KEYWORD[self.keyword]

    @property
    def marker(self) -> str:
        """The hidden marker at the end of the line, by which a ticked box is recognised."""
        return f"<!-- orchestrator:do {self.keyword} {self.task} -->"


def parse_checkboxes(text: str) -> dict[CheckboxCommand, bool]:
    """The boxes of a text, and whether each is ticked; of a duplicate box, whether either one is."""
    checkboxes: dict[CheckboxCommand, bool] = {}
    for mark, keyword, number in _CHECKBOX.findall(text.replace("\r\n", "\n")):
        if keyword in COMMAND_BY_KEYWORD:
            checkbox = CheckboxCommand(keyword, int(number))
            checkboxes[checkbox] = checkboxes.get(checkbox, False) or mark in "xX"
    return checkboxes


def newly_ticked(before: str, after: str) -> tuple[CheckboxCommand, ...]:
    """The boxes that existed unticked before and are ticked now; boxes that a user adds do not count."""
    previous = parse_checkboxes(before)
    return tuple(
        checkbox
        for checkbox, is_ticked in parse_checkboxes(after).items()
        if is_ticked and previous.get(checkbox) is False
    )
