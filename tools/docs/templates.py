"""Makes `docs/templates.md` from the templates that come along and from the model that checks them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.task_templates import MAX_REPOSITORY_TEMPLATES, TEMPLATES_FOLDER, Phases, TaskTemplate, built_in_templates
from core.intake.templates import render_template

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

A template is a ready-made task for common work of a product team. It states the goal, how to check it, which parts it
usually affects, where it meets other systems, and its usual size; for new behavior also what to test first.

{index}

## Use a template

**In a comment.** `/task bug` on an open issue makes it a task and adds the sections that its text lacks. The author's
text stays unchanged: a section is added only if the text has nothing under that heading, in its place if the form
left it empty (`_No response_`), otherwise at the end. The answer lists the added headings. On a task without an
agent, `/task bug` adds what is missing and keeps the priority. `/task` without a name only makes the issue a task; if
it has no text, the answer suggests templates that fit its title.

The issue's class becomes the template's, unless a label sets it. If the issue is edited between command and answer, the
bot writes nothing: comment again. It refuses a text that it cannot extend safely, for example with an unclosed code
block, and says why.

`/task` needs triage access. From a person with write access it also approves the text as it was at that moment, like
the label `task`; a later edit by a person without write access is not covered.

**On the command line.** `orchestrator templates` lists them (`--json` prints all content), and
`orchestrator template bug` prints one as Markdown for a new issue.

## A repository's own

Add files `<name>.yml` to `{folder}/` on the default branch, at most {most}. The bot reads them with the
configuration: after a push that changes them, and every 15 minutes. A file with the name of a built-in template
replaces it. An error in one affects no other: the answer to `/task` shows its line and the nearest valid word.

```yaml
{example}```

| key | required | meaning |
| --- | --- | --- |
{keys}

Text is plain: paragraphs, lists, emphasis and inline code. Headings, code blocks and HTML are rejected, because they
would become part of an issue. Mentions and issue numbers lose their effect.

## The templates

{all}
"""


def _index_rows() -> Iterator[str]:
    yield "| name | use | class | priority | estimate |"
    yield "| --- | --- | --- | --- | --- |"
    for name, template in built_in_templates().items():
        cells = (template.use, template.kind, template.priority or "P2 (default)", template.estimate)
        yield f"| [`{name}`](#{name}) | {' | '.join(map(str, cells))} |"


def _key_rows() -> Iterator[str]:
    for name, field in TaskTemplate.model_fields.items():
        yield f"| `{name}` | {'yes' if field.is_required() else ''} | {field.description} |".replace("|  |", "| no |")
    for name, field in Phases.model_fields.items():
        yield f"| `phases.{name}` | yes | {field.description} |"


def templates_page() -> str:
    """The whole of `docs/templates.md`."""
    return _PAGE.format(
        index="\n".join(_index_rows()),
        folder=TEMPLATES_FOLDER,
        most=MAX_REPOSITORY_TEMPLATES,
        example=EXAMPLE,
        keys="\n".join(_key_rows()),
        all="\n\n".join(
            f"### {name}\n\n{template.use}\n\n```markdown\n{render_template(template)}```"
            for name, template in built_in_templates().items()
        ),
    )
