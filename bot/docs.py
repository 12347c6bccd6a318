"""The generated documentation: what the code says about itself, so that no page can tell another story.

`docs/commands.md` is made wholly from the registry of commands, `docs/templates.md` from the task templates.
`docs/architecture.md` is written by hand, but for the parts between a pair of markers, `<!-- generated: name -->` and
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
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Final

from adapters.failures import FATES
from bot.hostile_docs import security_page
from bot.template_docs import templates_page
from core.buttons import COMMAND_OF, ON_CONFLICT
from core.commands import COMMANDS, ROLES, Use
from core.deadlines import DeadlineKind
from core.effects import Effect
from core.events import EventType
from core.lifecycle import TRANSITIONS, mermaid
from core.signals import Signal

ROOT: Final = Path(__file__).resolve().parent.parent
ROOMS: Final = ("core", "adapters", "handlers", "scheduler", "bot")

_COMMANDS: Final = """\
<!-- Made from core/commands.py by `make docs`; change it there. -->
# Commands

A command is a line of a comment that begins with a slash, on a task's issue or on its pull request:

```text
Two customers ask for this, so let us have it first.

/priority P0
```

{tables}

The holder is the agent or person that the task is assigned to. The bot asks GitHub for the account's permission, by its
numeric id, when it runs the command. If GitHub does not tell, the answer is no; while GitHub has an outage, the command
waits.

The bot reacts with 👀 at once, then with 🚀, or with 😕 and a reason. For an unknown word it suggests the nearest
command. A comment may contain several commands; the bot runs them in order. In an edited comment it runs only
what is new. It ignores commands in a quotation, in code, in a list, in a link or in HTML.

## Agents at run time

You can comment `/agents` on any issue of the repository, whether it is a task or not. A change takes effect at once.
The bot keeps it in the database and shows it beside the configuration; it does not change the file.

```text
/agents add grace adapter=actions workflow=agent.yml capabilities=cobol,tests max_tasks=2
/agents set grace max_tasks=3
/agents set grace workflow= event=agent-task
```

The settings are those of the [configuration](configuration.md#agentsname), with commas in lists; `key=` removes one.
An error changes nothing; the bot answers with the nearest valid word. A drained or removed agent finishes its tasks.
If an edit of the file no longer fits a change, the bot uses the file and `/agents` says so.

## Labels are commands too

A label that a person adds or removes is an instruction and overrides the bot's decision:

| label | what it does |
| --- | --- |
| `task` | Makes the issue a task; with write access also approves the text. If removed, the issue is no task. |
| `P0`, `P1`, `P2` | Sets the priority. |
| one of `priorities` in the configuration | Sets it too; if it is removed, other labels or the text count again. |
| `type:functional`, `type:non-functional` | Sets the class, which decides the agent's plan. |
| `needs:<capability>` | Adds a required capability; if it is removed, the task no longer needs it. |
| `status:ready` | Returns the task to the queue; with write access it also approves the text. |
| `status:pending` | Returns the task to the queue. |
| `status:done` | Marks the task as done. |
| `status:failed` | Marks the task as failed. |
| `blocked` | Puts the task on hold, as `/block` does; if it is removed, a hold by a person ends. |
| `conflict`, `stalled`, `needs-human` | If it is removed, it stays away until there is a new reason. |

`status:in-progress` and `status:review` follow from work; if a person sets them, the bot corrects them. Closing an
issue as completed marks the task as done, closing it as not planned marks it as failed, and reopening it starts the
task again. The audit log keeps every instruction with its author. If a webhook is lost, the bot finds the instruction
in GitHub's history of the issue within 15 minutes and applies it unless a newer one contradicts it. The bot corrects
changes of these labels by other bots.

## Buttons are commands too

The check `conflict-first` has buttons where it found a conflict. Each runs a command with the permission of the
person who presses it. A comment on the pull request explains a refusal or a failure, and how to lift `/pause`. A
button on an earlier commit does nothing and says so.

{buttons}
"""


class MarkersMissing(ValueError):
    """A page has lost the pair of markers between which a generated part belongs."""


def commands_page() -> str:
    """The whole of `docs/commands.md`."""
    groups: dict[tuple[str, bool], list[Use]] = defaultdict(list)
    for command in COMMANDS.values():
        for use in command.uses:
            groups[use.role, use.holder_too].append(use)
    ordered = sorted(
        groups.items(), key=lambda group: (group[0][0] != "none", not group[0][1], ROLES.index(group[0][0]))
    )
    tables = (
        f"### {_audience(*who)}\n\n"
        + _table([("command", "what it does"), *((f"`{use.example}`", use.help) for use in uses)])
        for who, uses in ordered
    )
    means = (
        (button.label, button.description, f"`/{' '.join(COMMAND_OF[button.identifier]).strip()}`")
        for button in ON_CONFLICT
    )
    buttons = _table([("button", "it says", "it means"), *means])
    return _COMMANDS.format(tables="\n\n".join(tables), buttons=buttons)


def _audience(role: str, holder_too: bool) -> str:
    if role == "none":
        return "Anyone"
    return f"The holder, or {role} access" if holder_too else f"{role.capitalize()} access or more"


def lifecycle_part() -> str:
    """The state diagram, and the table that it is drawn from."""
    rows = (
        (row.trigger.value, ", ".join(f"`{source}`" for source in row.sources), f"`{row.target}`")
        for row in TRANSITIONS
    )
    return f"```mermaid\n{mermaid()}```\n\n{_table([('what happens', 'from', 'to'), *rows])}"


def signals_part() -> str:
    """What can happen to a task."""
    return _table([("signal", "meaning"), *((f"`{kind.__name__}`", _summary(kind)) for kind in Signal.__args__)])


def effects_part() -> str:
    """What the bot can want, whether it is a state or happens once, and what its key makes unique."""
    rows = [("effect", "kind", "key", "meaning")]
    for kind in Effect.__args__:
        key = _summary(kind.key).split(":")[0].rstrip(".").lower()
        rows.append((f"`{kind.__name__}`", "state" if kind.state else "once", key, _summary(kind)))
    return _table(rows)


def events_part() -> str:
    """The types of the audit trail, with the files that write them; those that nothing writes yet stand apart."""
    writers = _writers()
    told = [(f"`{type_}`", ", ".join(writers[type_.name])) for type_ in EventType if writers[type_.name]]
    silent = [f"`{type_}`" for type_ in EventType if not writers[type_.name]]
    text = _table([("event", "written by"), *told])
    return f"{text}\n\nNamed already, and written by nothing yet: {', '.join(silent)}." if silent else text


def deadlines_part() -> str:
    """The kinds of wait, in the words that stand beside them in the code."""
    return _table([("wait", "meaning"), *((f"`{name}`", why) for name, why in _remarks(DeadlineKind).items())])


def failures_part() -> str:
    """What becomes of what failed, by the kind of error."""
    rows = [("error", "because", "what becomes of it")]
    for fate in FATES:
        kinds = ", ".join(f"`{kind.__name__}`" for kind in fate.errors if kind is not Exception) or "anything else"
        rows.append((kinds, fate.because, fate.then))
    return _table(rows)


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "lifecycle": lifecycle_part,
    "signals": signals_part,
    "effects": effects_part,
    "events": events_part,
    "deadlines": deadlines_part,
    "failures": failures_part,
}


def with_parts(page: str) -> str:
    """The page with every generated part as it should be.

    Raises `MarkersMissing` when the page has not exactly one place for a part.
    """
    for name, make in PARTS.items():
        first, last = f"<!-- generated: {name} -->\n", f"<!-- end of {name} -->"
        places = list(re.finditer(f"(?<={re.escape(first)}).*?(?={re.escape(last)})", page, re.DOTALL))
        if len(places) != 1:
            raise MarkersMissing(f"needs one pair of lines {first.strip()} and {last}")
        page = f"{page[: places[0].start()]}\n{make()}\n\n{page[places[0].end() :]}"
    return page


def files(root: Path = ROOT) -> dict[Path, str]:
    """Every page with generated text below `root`, as it should be.

    Raises `MarkersMissing`, or `OSError` when there is no `docs/architecture.md`: an installed package has no docs.
    """
    architecture = root / "docs" / "architecture.md"
    return {
        root / "docs" / "commands.md": commands_page(),
        root / "docs" / "templates.md": templates_page(),
        root / "docs" / "security.md": security_page(),
        architecture: with_parts(architecture.read_text(encoding="utf-8")),
    }


def main(write: bool, root: Path = ROOT) -> int:
    """Write the generated documentation, or only name what is stale; gives the exit status, 1 when something is."""
    try:
        pages = files(root)
    except (MarkersMissing, OSError) as problem:
        sys.stderr.write(f"docs/architecture.md: {problem}\n")
        return 1
    stale = [path for path, text in pages.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if write:
            path.write_text(pages[path], encoding="utf-8")
        sys.stderr.write(f"{path.relative_to(root)} {'written' if write else 'is stale; run `make docs`'}\n")
    return 1 if stale and not write else 0


def _summary(documented: object) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())


def _remarks(kinds: type[Enum]) -> dict[str, str]:
    """The value of each member with the comment beside it."""
    text = inspect.getsource(kinds)
    named = [(node.lineno, node.value) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Assign)]
    beside = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    return {str(ast.literal_eval(value)): beside.get(line, "") for line, value in named}


@cache
def _writers() -> dict[str, list[str]]:
    """Which files mention a type of the audit trail in order to write it, by the type's name in the code."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in _sources():
        name = path.relative_to(ROOT).as_posix()
        for told in _told(ast.parse(path.read_text(encoding="utf-8"))):
            if name not in found[told]:
                found[told].append(name)
    return found


def _sources() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


def _told(tree: ast.AST) -> Iterator[str]:
    """The types given to a call, `draft.tell(EventType.X, …)` or `Event(EventType.X, …)`.

    Those that are only compared with are not written.
    """
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if called in ("tell", "Event"):
            for node in ast.walk(call.args[0]):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    yield node.attr


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body])
