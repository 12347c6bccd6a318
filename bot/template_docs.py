"""Makes `docs/templates.md` from the templates that come along and from the model that checks them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.task_templates import MAX_OWN, TEMPLATES_FOLDER, Phases, TaskTemplate, built_in
from core.filling import markdown

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

Ready-made tasks for the work of a product team. Each names the goal, the acceptance criteria, the parts that it usually
touches, the integration points and the usual size; for new behaviour also what to test first.

{index}

## Using one

**In a comment.** `/task bug` on any open issue makes it a task and fills in missing sections. The author's text stays
unchanged: the bot adds a section only if the text has nothing under that heading, in its place if the form left it
empty (`_No response_`), otherwise at the end. The answer lists the added headings. On a task without an agent, `/task
bug` fills in what is missing and keeps the priority. `/task` without a name only makes the issue a task; if the issue
has no text, the answer names templates that fit its title.

The issue's class becomes that of the template, unless a label has set it. If the issue is edited between the
comment and the answer, the bot writes nothing: comment the command again. The bot refuses a text that it cannot fill in
without changing it, for example if a code block is never closed, and gives the reason.

`/task` needs triage access. With write access it also approves the text at that moment, as the label `task` does; it
does not approve a later edit by a person without write access.

**On the command line.** `orchestrator templates` lists them (`--json` prints them whole), and
`orchestrator template bug` prints one as Markdown that you can paste into a new issue.

## A repository's own

Files `<name>.yml` in `{folder}/` on the default branch, at most {most}. The bot reads them together with
the configuration: after a push that changes them, and every 15 minutes. A template with the name of a built-in one
replaces it. A template with an error does not affect the others: the answer to `/task` names it with its line and the
nearest valid word.

```yaml
{example}```

| key | needed | meaning |
| --- | --- | --- |
{keys}

Text is plain: paragraphs, lists, emphasis and inline code. Headings, code blocks and HTML are errors, because they
would become part of an issue; mentions and issue numbers lose their effect when the bot fills in the template.

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
