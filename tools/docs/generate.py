"""The generated documentation: what the code says about itself, so that no page can tell another story.

`docs/commands.md` is made wholly from the registry of commands, `docs/templates.md` from the task templates.
`docs/reference.md` is written by hand, except the parts between a pair of markers, `<!-- generated: name -->` and
`<!-- end of name -->`, which are made from the rules.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Final

from core.audit.events import EventType
from core.commands.buttons import COMMAND_BY_BUTTON, CONFLICT_BUTTONS
from core.commands.permissions import ROLES, CommandForm
from core.decide.commands.registry import COMMANDS
from core.effects.base import Effect
from core.signals.base import Signal
from core.task.deadlines import DeadlineKind
from core.task.lifecycle import TRANSITIONS, state_diagram
from engine.error_policy import ERROR_POLICIES
from tools.docs.security import security_page
from tools.docs.templates import templates_page

ROOT: Final = Path(__file__).resolve().parents[2]
_ACTION_SOURCE: Final = Path("core", "text_safety", "publication.py")
_ACTION_COPY: Final = Path(".github", "actions", "run-agent", "publication.py")

_COMMANDS: Final = """\
<!-- Made from core/decide/commands/registry.py by `make docs`; change it there. -->
# Commands

A command is a line of a comment that starts with a slash, on a task's issue or its pull request:

```text
Two customers ask for this.

/priority P0
```

{tables}

The holder is the agent or person with the task. The bot asks GitHub for your permission, by numeric account id, when it
runs the command. If GitHub does not answer, permission is denied; during an outage of GitHub the command waits.

The bot reacts with 👀 at once, then with 🚀, or with 😕 and a reason. For an unknown command it suggests the nearest
one. A comment can contain several commands; the bot runs them in order. After an edit it runs only what is new. It
ignores commands in quotes, code, lists, links and HTML.

**Without a role.** Of people below triage access, the bot runs the first command of a comment and reacts only with the
result. It answers ten of their comments an hour per person, and all of theirs together use at most a tenth of what
GitHub lets the bot write. Then it says so once, and ignores further commands until the hour is over.

## Change agents at run time

Comment `/agents` on any issue of the repository. Changes take effect at once and are stored in the database; `/agents`
shows them beside the configuration file, which does not change.

```text
/agents add grace adapter=actions workflow=agent.yml capabilities=cobol,tests max_tasks=2
/agents set grace max_tasks=3
/agents set grace workflow= event=agent-task
```

The settings are those of the [configuration](configuration.md#agentsname). Separate list items with commas; `key=`
removes a key. An error changes nothing; the answer suggests the nearest valid word. A drained or removed agent finishes
its tasks. If an edit of the file contradicts a change, the file counts, and `/agents` says so.

## Labels

A label that a person adds or removes is an instruction and overrides the bot:

| label | effect |
| --- | --- |
| `task` | Makes the issue a task; from a writer it also approves the text. If removed, the bot ignores the issue. |
| `P0`, `P1`, `P2` | Sets the priority. |
| one of `priorities` in the configuration | Sets the priority. If removed, other labels or the text count again. |
| `type:functional`, `type:non-functional` | Sets the class, which decides the plan in the hand-off. |
| `needs:<capability>` | Adds a required capability; if removed, removes it. |
| `status:ready` | Returns the task to the queue; from a writer it also approves the text. |
| `status:pending` | Returns the task to the queue. |
| `status:done` | Marks the task as done. |
| `status:failed` | Marks the task as failed. |
| `blocked` | Holds the task, like `/block`; if removed, ends a person's hold. |
| `conflict`, `stalled`, `needs-human` | If removed, it stays away until there is a new reason. |

The bot reverts `status:in-progress` and `status:review` if a person sets them. Closing an issue as completed marks the
task as done, as not planned marks it as failed; reopening it starts the task again. The audit log records each
instruction with its author. If the webhook of an instruction was lost, the bot finds it in the issue's timeline within
15 minutes and applies it, unless a later one contradicts it. Changes of these labels by another bot are reverted then.

## Buttons

The check `conflict-first` has buttons if it found a conflict. A button runs its command with your permission. If that
is refused or has no effect, the bot says so in a comment on the pull request. A button of an earlier commit does
nothing and says so.

{buttons}
"""


class MarkersMissing(ValueError):
    """A page has lost the pair of markers between which a generated part belongs."""


def commands_page() -> str:
    """The whole of `docs/commands.md`."""
    groups: dict[tuple[str, bool], list[CommandForm]] = defaultdict(list)
    for command in COMMANDS.values():
        for use in command.all_forms:
            groups[use.role, use.allows_holder].append(use)
    ordered = sorted(
        groups.items(), key=lambda group: (group[0][0] != "none", not group[0][1], ROLES.index(group[0][0]))
    )
    tables = (
        f"### {_audience(*role_and_holder)}\n\n"
        + _table([("command", "what it does"), *((f"`{use.example}`", use.help) for use in uses)])
        for role_and_holder, uses in ordered
    )
    button_rows = (
        (button.label, button.description, f"`/{' '.join(COMMAND_BY_BUTTON[button.identifier]).strip()}`")
        for button in CONFLICT_BUTTONS
    )
    buttons = _table([("button", "description", "command"), *button_rows])
    return _COMMANDS.format(tables="\n\n".join(tables), buttons=buttons)


def _audience(role: str, holder_too: bool) -> str:
    if role == "none":
        return "Anyone"
    return f"The holder, or {role} access" if holder_too else f"{role.capitalize()} access or more"


def lifecycle_section() -> str:
    """The state diagram, and the table that it is drawn from."""
    rows = (
        (row.trigger.value, ", ".join(f"`{source}`" for source in row.sources), f"`{row.target}`")
        for row in TRANSITIONS
    )
    return f"```mermaid\n{state_diagram()}```\n\n{_table([('trigger', 'from', 'to'), *rows])}"


def signals_section() -> str:
    """What can happen to a task."""
    return _table([("signal", "meaning"), *((f"`{kind.__name__}`", _summary(kind)) for kind in Signal.__args__)])


def effects_section() -> str:
    """What the bot can want, whether it is a state or happens once, and what its key makes unique."""
    rows = [("effect", "kind", "key", "meaning")]
    for kind in Effect.__args__:
        key = _summary(kind.key).split(":")[0].rstrip(".").lower()
        rows.append((f"`{kind.__name__}`", "state" if kind.is_state else "once", key, _summary(kind)))
    return _table(rows)


def events_section() -> str:
    """The types of events in the audit log, in the words that stand beside them in the code."""
    return _table(
        [("event", "meaning"), *((f"`{name}`", meaning) for name, meaning in _inline_comments(EventType).items())]
    )


def deadlines_section() -> str:
    """The kinds of wait, in the words that stand beside them in the code."""
    return _table(
        [("deadline", "meaning"), *((f"`{name}`", comment) for name, comment in _inline_comments(DeadlineKind).items())]
    )


def failures_section() -> str:
    """What becomes of what failed, by the kind of error."""
    rows = [("error", "reason", "handling")]
    for policy in ERROR_POLICIES:
        kinds = ", ".join(f"`{kind.__name__}`" for kind in policy.errors if kind is not Exception) or "any other error"
        rows.append((kinds, policy.reason, policy.next_action))
    return _table(rows)


SECTIONS: Final[Mapping[str, Callable[[], str]]] = {
    "lifecycle": lifecycle_section,
    "signals": signals_section,
    "effects": effects_section,
    "events": events_section,
    "deadlines": deadlines_section,
    "failures": failures_section,
}


def insert_sections(page: str) -> str:
    """The page with every generated part as it should be.

    Raises `MarkersMissing` when the page has not exactly one place for a part.
    """
    for name, render in SECTIONS.items():
        start_marker, end_marker = f"<!-- generated: {name} -->\n", f"<!-- end of {name} -->"
        matches = list(re.finditer(f"(?<={re.escape(start_marker)}).*?(?={re.escape(end_marker)})", page, re.DOTALL))
        if len(matches) != 1:
            raise MarkersMissing(f"needs one pair of lines {start_marker.strip()} and {end_marker}")
        page = f"{page[: matches[0].start()]}\n{render()}\n\n{page[matches[0].end() :]}"
    return page


def generated_pages(root: Path = ROOT) -> dict[Path, str]:
    """Every page with generated text below `root`, as it should be, and the action's copy of a module.

    Raises `MarkersMissing`, or `OSError` when there is no `docs/reference.md`: an installed package has no docs.
    """
    reference = root / "docs" / "reference.md"
    return {
        root / "docs" / "commands.md": commands_page(),
        root / "docs" / "templates.md": templates_page(),
        root / "docs" / "security.md": security_page(),
        # It runs where the bot is not installed.
        root / _ACTION_COPY: (ROOT / _ACTION_SOURCE).read_text(encoding="utf-8"),
        reference: insert_sections(reference.read_text(encoding="utf-8")),
    }


def main(write: bool, root: Path = ROOT) -> int:
    """Write the generated documentation, or only name what is stale; gives the exit status, 1 when something is."""
    try:
        pages = generated_pages(root)
    except (MarkersMissing, OSError) as error:
        sys.stderr.write(f"docs/reference.md: {error}\n")
        return 1
    stale = [path for path, text in pages.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages[path], encoding="utf-8")
        sys.stderr.write(f"{path.relative_to(root)} {'written' if write else 'is stale; run `make docs`'}\n")
    return 1 if stale and not write else 0


def _summary(documented: object) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())


def _inline_comments(kinds: type[Enum]) -> dict[str, str]:
    """The value of each member with the comment beside it."""
    text = inspect.getsource(kinds)
    assignments = [(node.lineno, node.value) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Assign)]
    comments_by_line = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    return {str(ast.literal_eval(value)): comments_by_line.get(line, "") for line, value in assignments}


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    header, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *body])
