"""Makes `docs/templates.md` from the templates that come along and from the model that checks them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.task_templates import MAX_OWN, TEMPLATES_FOLDER, Phases, TaskTemplate, built_in
from core.intake.templates import markdown

EXAMPLE: Final = """\
version: 1
title: Voucher
use: Customers get a kind of voucher that there was not before.
kind: functional
words: [voucher, coupon]
goal: Customers can use the voucher that the title names, once, and see on the receipt what it was worth.
criteria:
  - A voucher counts once, also when two people use it at the same moment
  - One that has expired is rejected with a message that says since when
files: [shop/vouchers.py, "tests/vouchers/**"]
components: [the checkout page]
integration:
  - "Bookkeeping: a voucher is a liability until it is used"
done: [The handbook for the support team knows it]
priority: P1
capabilities: [python]
prefers: [tests]
estimate: 1 day
phases:
  red: Tests for a voucher that is good, used and expired
  green: The rules of the voucher, and the line on the receipt
  refactor: Keep the kinds of voucher in one table
"""

_PAGE: Final = """\
<!-- Made from config/templates/ and config/task_templates.py by `make docs`; change it there. -->
# Task templates

Ready-made tasks for the work of a product team. Each says what is to be true afterwards, how that is checked, which
parts it usually touches, where it meets the rest of the system, and how big it usually is; for new behaviour also what
to test first.

{index}

## Using one

**In a comment.** `/task bug` on any open issue makes it a task and fills in what its text leaves out. What its author
has written stays, word for word: a section is added only where the text says nothing under that heading, in its place
where the form left it empty (`_No response_`), otherwise at the end. The answer names the headings that were filled in.
On a task that nobody works on yet, `/task bug` fills in what is missing; its priority stays as it is. `/task` without a
name only makes the issue a task; where it has no text, the answer names templates that fit its title.

The issue's class becomes that of the template, unless a label has set it. If somebody edits the issue between the
comment and the answer, nothing is written: say the command again. A text that cannot be filled in without becoming
another is refused with the reason, for example when a code block in it is never closed.

Whoever has triage access may say `/task`. Said by somebody with write access it approves the text as it was when they
said it, as the label `task` does; a stranger's later edit is not covered.

**On the command line.** `orchestrator templates` lists them (`--json` prints them whole), and
`orchestrator template bug` prints one as Markdown, to be pasted into a new issue.

## A repository's own

Files `<name>.yml` in `{folder}/` on the default branch, at most {most}. They are read together with
the configuration: after a push that touches them, and every quarter of an hour. One with the name of a template that
comes along goes before it. One with a mistake stops no other: the answer to `/task` names it with its line and the
nearest valid word.

```yaml
{example}```

| key | needed | meaning |
| --- | --- | --- |
{keys}

Text is plain: paragraphs, lists, emphasis and code in a line. Headings, code blocks and HTML are refused, because they
would become part of somebody's issue; mentions and numbers of issues lose their effect when it is filled in.

## The templates

{all}
"""


def _index() -> Iterator[str]:
    yield "| name | when | class | priority | estimate |"
    yield "| --- | --- | --- | --- | --- |"
    for name, t in built_in().items():
        yield f"| [`{name}`](#{name}) | {t.use} | {t.kind} | {t.priority or 'P2, by default'} | {t.estimate} |"


def _keys() -> Iterator[str]:
    for name, field in TaskTemplate.model_fields.items():
        yield f"| `{name}` | {'yes' if field.is_required() else ''} | {field.description} |".replace("|  |", "| no |")
    for name, field in Phases.model_fields.items():
        yield f"| `phases.{name}` | yes | {field.description} |"


def templates_page() -> str:
    """The whole of `docs/templates.md`."""
    return _PAGE.format(
        index="\n".join(_index()),
        folder=TEMPLATES_FOLDER,
        most=MAX_OWN,
        example=EXAMPLE,
        keys="\n".join(_keys()),
        all="\n\n".join(f"### {name}\n\n{t.use}\n\n```markdown\n{markdown(t)}```" for name, t in built_in().items()),
    )
