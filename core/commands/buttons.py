"""Maps the buttons on the bot's checks to commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# GitHub's limits: characters of each text, and buttons on one check.
MAX_LENGTHS = {"label": 20, "description": 40, "identifier": 20}


@dataclass(frozen=True, slots=True)
class Button:
    """A button that GitHub shows on a completed check. GitHub sends its identifier when a user presses it."""

    label: str
    description: str
    identifier: str

    def __post_init__(self) -> None:
        """Raises `ValueError` for a text with which GitHub would reject the whole check."""
        for name, max_length in MAX_LENGTHS.items():
            if not 0 < len(getattr(self, name)) <= max_length:
                raise ValueError(f"the {name} of a button has 1 to {max_length} characters: {getattr(self, name)!r}")


REBASE = Button("Rebase", "Merge the base into this branch", "rebase")
HOLD = Button("Hold", "Hold the task until /resume", "hold")
IGNORE = Button("Ignore for a day", "Continue despite this conflict", "ignore")

# Shown below a conflict, in this order.
CONFLICT_BUTTONS = (REBASE, HOLD, IGNORE)

# By identifier: the command and its argument. A button does exactly what the typed command does.
COMMAND_BY_BUTTON: Mapping[str, tuple[str, str]] = {
    REBASE.identifier: ("resolve", "rebase"),
    HOLD.identifier: ("pause", ""),
    IGNORE.identifier: ("resolve", "ignore"),
}
