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
NOUNS = (
    *("total", "line", "summary", "address", "rule", "filter", "entry", "batch", "token", "draft", "label", "period"),
    *("balance", "receipt", "option", "history", "status", "quota", "parcel", "discount", "ledger", "digest", "page"),
    *("record", "schema", "signal", "window", "counter", "policy", "queue", "report", "sample", "sheet", "slot"),
)
VERBS = (
    *("round", "load", "store", "check", "merge", "split", "render", "parse", "count", "sort", "notify", "apply"),
    *("collect", "convert", "expire", "publish", "validate", "compare", "estimate", "resolve"),
)
PEOPLE = ("ada", "grace", "linus", "margaret", "dennis", "barbara", "edsger")


def function_name(rng: random.Random) -> str:
    """The name of a function."""
    return f"{rng.choice(VERBS)}_{rng.choice(NOUNS)}_{rng.choice(NOUNS)}"


def random_statement(rng: random.Random) -> str:
    """A line of a function's body; the number makes most of them differ from all others."""
    left, right = rng.choice(NOUNS), rng.choice(NOUNS)
    return f"    {left} = {rng.choice(VERBS)}({right}, {rng.randrange(10_000)})"


def function_lines(name: str, rng: random.Random) -> list[str]:
    """The lines of a function."""
    body = [random_statement(rng) for _ in range(rng.randint(3, 7))]
    return ["", "", f"def {name}({rng.choice(NOUNS)}):", *body, f"    return {rng.choice(NOUNS)}"]


def source_lines(part: str, thing: str, symbols: Sequence[str], rng: random.Random) -> list[str]:
    """The lines of a source file with these functions."""
    lines = [f'"""The {thing} of {part}."""', "", f"from shop.{part} import {rng.choice(NOUNS)}"]
    for name in symbols:
        lines += function_lines(name, rng)
    return lines


def page_lines(part: str, rng: random.Random) -> list[str]:
    """The lines of a page of documentation."""
    lines = [f"# {part.capitalize()}", ""]
    for _ in range(rng.randint(8, 20)):
        lines += [f"How to {rng.choice(VERBS)} the {rng.choice(NOUNS)}, see {rng.randrange(1000)}.", ""]
    return lines


def issue_text(part: str, path: str, symbols: Sequence[str], rng: random.Random) -> tuple[str, str]:
    """A title and a few sentences, as an issue about a change to this file would have them.

    People differ: some name the path, some a function or a traceback, many only the part they mean, some nothing
    that helps, and some mention another part as well.
    """
    verb, noun = rng.choice(VERBS), path.rsplit("/", 1)[-1].split(".")[0].removeprefix("test_").replace("_", " ")
    symbol_name = rng.choice(symbols) if symbols else f"{verb}_{rng.choice(NOUNS)}"
    other_part = rng.choice(PARTS)
    vague_sentence = rng.choice(
        ["It is wrong since last week.", "A customer complained.", "See the screenshot.", "Please."]
    )
    match rng.choices(range(7), weights=(20, 15, 10, 25, 10, 12, 8))[0]:
        case 0:
            return (
                f"{verb.capitalize()} the {noun} of {part}",
                f"In `{path}` the {noun} is not kept. {vague_sentence}",
            )
        case 1:
            return (
                f"`{symbol_name}` loses the {noun}",
                f"`{symbol_name}()` gives nothing for an empty one. {vague_sentence}",
            )
        case 2:
            trace = f'File "{path}", line {rng.randrange(5, 60)}, in {symbol_name}'
            return (f"Crash in {part}", f"Traceback (most recent call last):\n  {trace}\nValueError: {noun}")
        case 3:
            user_story = f"As a customer I want {part} to {verb} the {noun}, so that I see it at once."
            return (f"{part.capitalize()}: {verb} the {noun}", f"{user_story} {vague_sentence}")
        case 4:
            return (
                f"The {noun} differs between {part} and {other_part}",
                f"What {other_part} shows is right. {vague_sentence}",
            )
        case 5:
            return (f"Improve {part}", vague_sentence)
        case _:
            return (rng.choice(["Fix the bug", "Small clean-up", "Follow-up", "As discussed"]), vague_sentence)
