"""What a generated repository is about: its parts, its source text, and how people write about a change."""

from __future__ import annotations

import random
from collections.abc import Sequence

PARTS = (
    *("checkout", "catalogue", "invoices", "shipping", "accounts", "search", "vouchers", "reviews", "stock", "returns"),
    *("payments", "reports", "notifications", "wishlist", "suppliers", "pricing", "tax", "sessions", "exports"),
    *("imports", "audit", "webhooks", "schedules", "uploads", "themes", "layout", "forms", "emails", "limits", "cache"),
    *("metrics", "backups", "permissions", "teams", "billing", "onboarding", "help", "feeds", "tags", "archive"),
)
THINGS = (
    *("total", "line", "summary", "address", "rule", "filter", "entry", "batch", "token", "draft", "label", "period"),
    *("balance", "receipt", "option", "history", "status", "quota", "parcel", "discount", "ledger", "digest", "page"),
    *("record", "schema", "signal", "window", "counter", "policy", "queue", "report", "sample", "sheet", "slot"),
)
DOING = (
    *("round", "load", "store", "check", "merge", "split", "render", "parse", "count", "sort", "notify", "apply"),
    *("collect", "convert", "expire", "publish", "validate", "compare", "estimate", "resolve"),
)
PEOPLE = ("ada", "grace", "linus", "margaret", "dennis", "barbara", "edsger")


def symbol(chance: random.Random) -> str:
    """The name of a function."""
    return f"{chance.choice(DOING)}_{chance.choice(THINGS)}_{chance.choice(THINGS)}"


def statement(chance: random.Random) -> str:
    """A line of a function's body; the number makes most of them differ from all others."""
    left, right = chance.choice(THINGS), chance.choice(THINGS)
    return f"    {left} = {chance.choice(DOING)}({right}, {chance.randrange(10_000)})"


def function(name: str, chance: random.Random) -> list[str]:
    """The lines of a function."""
    body = [statement(chance) for _ in range(chance.randint(3, 7))]
    return ["", "", f"def {name}({chance.choice(THINGS)}):", *body, f"    return {chance.choice(THINGS)}"]


def source(part: str, thing: str, symbols: Sequence[str], chance: random.Random) -> list[str]:
    """The lines of a source file with these functions."""
    lines = [f'"""The {thing} of {part}."""', "", f"from shop.{part} import {chance.choice(THINGS)}"]
    for name in symbols:
        lines += function(name, chance)
    return lines


def page(part: str, chance: random.Random) -> list[str]:
    """The lines of a page of documentation."""
    lines = [f"# {part.capitalize()}", ""]
    for _ in range(chance.randint(8, 20)):
        lines += [f"How to {chance.choice(DOING)} the {chance.choice(THINGS)}, see {chance.randrange(1000)}.", ""]
    return lines


def described(part: str, path: str, symbols: Sequence[str], chance: random.Random) -> tuple[str, str]:
    """A title and a few sentences, as an issue about a change to this file would have them.

    People differ: some name the path, some a function or a traceback, many only the part they mean, some nothing
    that helps, and some mention another part as well.
    """
    doing, thing = chance.choice(DOING), path.rsplit("/", 1)[-1].split(".")[0].removeprefix("test_").replace("_", " ")
    name = chance.choice(symbols) if symbols else f"{doing}_{chance.choice(THINGS)}"
    other = chance.choice(PARTS)
    vague = chance.choice(["It is wrong since last week.", "A customer complained.", "See the screenshot.", "Please."])
    match chance.choices(range(7), weights=(20, 15, 10, 25, 10, 12, 8))[0]:
        case 0:
            return (f"{doing.capitalize()} the {thing} of {part}", f"In `{path}` the {thing} is not kept. {vague}")
        case 1:
            return (f"`{name}` loses the {thing}", f"`{name}()` gives nothing for an empty one. {vague}")
        case 2:
            trace = f'File "{path}", line {chance.randrange(5, 60)}, in {name}'
            return (f"Crash in {part}", f"Traceback (most recent call last):\n  {trace}\nValueError: {thing}")
        case 3:
            wish = f"As a customer I want {part} to {doing} the {thing}, so that I see it at once."
            return (f"{part.capitalize()}: {doing} the {thing}", f"{wish} {vague}")
        case 4:
            return (f"The {thing} differs between {part} and {other}", f"What {other} shows is right. {vague}")
        case 5:
            return (f"Improve {part}", vague)
        case _:
            return (chance.choice(["Fix the bug", "Small clean-up", "Follow-up", "As discussed"]), vague)
