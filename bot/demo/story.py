"""What happens in the demo: eight tasks, four agents, a maintainer. Change it here to try your own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bot.demo.crib import Implements
from sandbox.agents.scripted import Script

SPEED = 20.0  # how much faster than the watcher's the time of the demo passes: patience of minutes is spent in seconds


@dataclass(frozen=True, slots=True)
class Errand:
    """One task as its author files it, and where the work for it lies.

    `answers` fill in the issue form by the ids of its fields. `after` names the errands that it depends on. With
    `completed` the author edits the issue a while later and fills in these answers as well. `work` is a folder of
    `shop/work`, `first` one that lies over it in the first attempt, and `lesson` the failing test that an agent must
    have been told of before it does better.
    """

    name: str
    title: str
    answers: Mapping[str, str]
    after: tuple[str, ...] = ()
    completed: Mapping[str, str] | None = None
    first: str | None = None
    lesson: str = ""


@dataclass(frozen=True, slots=True)
class Cast:
    """One agent: how it works, and for how many seconds of the watcher's it thinks.

    One with a `service` works there and not in a workflow of the repository. It may die in the middle of its first
    task, and it may have no credit left.
    """

    script: Script
    think: float
    service: str | None = None
    dies: bool = False
    broke: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """All of it, in seconds as the watcher counts them.

    `filing` is the time between two issues, `patience` that before the maintainer reacts.
    """

    errands: tuple[Errand, ...]
    agents: Mapping[str, Cast]
    filing: float = 0.25
    patience: float = 0.4
    completing: float = 4.0  # seconds until the author edits the issue that was not ready
    limit: float = 300.0  # seconds after which the demo gives up


def _criteria(*lines: str) -> str:
    return "\n".join(f"- [ ] {line}" for line in lines)


ERRANDS = (
    Errand(
        "vouchers",
        "Add voucher codes",
        {
            "goal": "A customer can have a voucher that takes some per cent off, until its last day.",
            "acceptance-criteria": _criteria(
                "A voucher takes its per cent off an amount, to the cent", "An expired voucher is refused"
            ),
            "priority": "P1",
            "required-capabilities": "python, tests",
            "files": "shop/vouchers.py\ntests/test_vouchers.py",
        },
    ),
    Errand(
        "checkout",
        "Take a voucher at the checkout",
        {
            "goal": "A customer enters a voucher at the checkout and pays less, or is told that it has expired.",
            "acceptance-criteria": _criteria(
                "The order shows discount and total", "An expired voucher is told, the full price is never charged"
            ),
            "priority": "P1",
            "required-capabilities": "python, tests",
            "files": "shop/checkout.py\ntests/test_checkout.py",
        },
        after=("vouchers",),
    ),
    Errand(
        "receipt",
        "Show the voucher on the receipt",
        {
            "goal": "The receipt shows how the sum came about, the voucher on a line of its own.",
            "acceptance-criteria": _criteria("Code and discount stand above the sum to pay"),
            "priority": "P1",
            "required-capabilities": "python",
            "files": "shop/receipt.py\ntests/test_receipt.py",
        },
        after=("checkout",),
    ),
    Errand(
        "handbook",
        "Document vouchers in the handbook",
        {
            "goal": "The documentation tells the team how vouchers work, with an example.",
            "acceptance-criteria": _criteria("docs/vouchers.md has an example", "The example is run by the tests"),
            "priority": "P2",
            "required-capabilities": "docs",
            "files": "docs/vouchers.md\ntests/test_handbook.py",
        },
        after=("receipt",),
    ),
    Errand(
        "vat",
        "Charge VAT to the cent",
        {
            "goal": "The gross price of an order is calculated so that it agrees with the tax office to the last cent.",
            "acceptance-criteria": _criteria("Half a cent is rounded up", "A negative rate is refused"),
            "priority": "P0",
            "required-capabilities": "python, tests",
            "files": "shop/tax.py\ntests/test_tax.py",
        },
        first="vat-first",
        lesson="test_half_a_cent_goes_up",
    ),
    Errand(
        "settings",
        "Read the configuration from the environment",
        {
            "goal": "Currency and VAT rate are configured by environment variables, for each deployment its own.",
            "acceptance-criteria": _criteria("Both have a default", "A mistake is an error that names the variable"),
            "priority": "P2",
            "required-capabilities": "python",
            "files": "shop/settings.py\ntests/test_settings.py",
        },
    ),
    Errand(
        "page",
        "Show the price list as a web page",
        {
            "goal": "Customers can read all prices on a page that browsers and screen readers understand.",
            "acceptance-criteria": _criteria("Every product is in the table", "No name can break the page"),
            "priority": "P1",
            "required-capabilities": "frontend",
            "files": "shop/page.py\ntests/test_page.py",
        },
    ),
    Errand(
        "stock",
        "Never sell more than is in stock",
        {
            "goal": "An order for more than there is left is rejected, and nothing is taken out.",
            "priority": "P0",
            "required-capabilities": "python, tests",
            "files": "shop/stock.py\ntests/test_stock.py",
        },
        completed={
            "acceptance-criteria": _criteria(
                "What is taken is gone", "More than there is cannot be taken, and then all of it stays"
            )
        },
    ),
)

_KNOWS = Implements({errand.title: (errand.name, errand.first, errand.lesson) for errand in ERRANDS})

STORY = Story(
    errands=ERRANDS,
    agents=MappingProxyType(
        {
            "codex": Cast(_KNOWS, 1.5),
            "claude": Cast(_KNOWS, 2.0),
            "cursor": Cast(_KNOWS, 1.2, service="cursor", dies=True),
            "devin": Cast(_KNOWS, 1.2, service="devin", broke=True),
        }
    ),
)
