"""Describes the demo: ten tasks, four agents, a maintainer. Change it here to try your own.

Two tasks change the same lines and say so in their forms: the later one waits before work begins. Two more do so
without saying so: their branches are found to conflict while both are in progress. One changes other lines of that file
and conflicts with none; its work is good, but the maintainer overlooks it until she is reminded and then notified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bot.demo.solutions import ImplementTask, Insertion, Solutions
from sandbox.actors.agents.scripted import Script

SPEED = 8.0  # how much faster than the watcher's the time of the demo passes: patience of minutes is spent in seconds


@dataclass(frozen=True, slots=True)
class DemoTask:
    """One task as its author files it, and where the work for it lies.

    `answers` fill in the issue form by the ids of its fields. `after` names the errands that it depends on. With
    `completed` the author edits the issue a while later and fills in these answers as well. `crib` is where the work
    for it lies. One that is `overlooked` waits for the maintainer until she is called.
    """

    name: str
    title: str
    answers: Mapping[str, str]
    solution: Solutions
    depends_on: tuple[str, ...] = ()
    later_answers: Mapping[str, str] | None = None
    is_overlooked: bool = False


@dataclass(frozen=True, slots=True)
class DemoAgent:
    """One agent: how it works, and for how many seconds of the watcher's it thinks.

    One with a `service` works there and not in a workflow of the repository. It may die in the middle of its first
    task, and it may have no credit left.
    """

    script: Script
    think_seconds: float
    service: str | None = None
    crashes: bool = False
    has_no_credit: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """All of it, in seconds as the watcher counts them.

    `filing` is the time between two issues, `patience` that before the maintainer reacts.
    """

    demo_tasks: tuple[DemoTask, ...]
    agents: Mapping[str, DemoAgent]
    filing_interval_seconds: float = 0.25
    reaction_seconds: float = 0.4
    completion_delay_seconds: float = 4.0  # seconds until the author edits the issue that was not ready
    timeout_seconds: float = 300.0  # seconds after which the demo gives up


def _criteria(*lines: str) -> str:
    return "\n".join(f"- [ ] {line}" for line in lines)


CATALOGUE, CART = "shop/catalogue.py", "shop/cart.py"
_LAST_PRODUCT_LINE = 'MUG = Product("M1", "Mug", Decimal("12.00"))\n'
_CATALOGUE_LINE = "CATALOGUE = (TEA, MUG"
_ADD_LINE = "        self.lines[product] = self.lines.get(product, 0) + quantity\n"
_TOTAL_LINE = "        return sum((product.price * quantity for product, quantity in self.lines.items()), Decimal(0))\n"
_REMOVE_METHOD = '''
    def remove(self, product: Product) -> None:
        """Take something out again; raises KeyError for what is not there."""
        del self.lines[product]
'''
_CLEAR_METHOD = '''
    def clear(self) -> None:
        """Throw everything out."""
        self.lines.clear()
'''
_PIECES_PROPERTY = '''
    @property
    def pieces(self) -> int:
        """How many pieces are in it, of whatever kind."""
        return sum(self.lines.values())
'''


def _product_insertions(name: str, definition: str) -> tuple[Insertion, ...]:
    """One more product: its definition, and its place in the catalogue."""
    return Insertion(CATALOGUE, _LAST_PRODUCT_LINE, f"{name} = {definition}\n"), Insertion(
        CATALOGUE, _CATALOGUE_LINE, f", {name}"
    )


DEMO_TASKS = (
    DemoTask(
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
        Solutions("vouchers"),
    ),
    DemoTask(
        "checkout",
        "Take a voucher at the checkout",
        {
            "goal": "A customer enters a voucher at the checkout and pays less, or sees that it has expired.",
            "acceptance-criteria": _criteria(
                "The order shows discount and total", "An expired voucher is reported, the full price is never charged"
            ),
            "priority": "P1",
            "required-capabilities": "python, tests",
            "files": "shop/checkout.py\ntests/test_checkout.py",
        },
        Solutions("checkout"),
        depends_on=("vouchers",),
    ),
    DemoTask(
        "handbook",
        "Document vouchers in the handbook",
        {
            "goal": "The documentation tells the team how vouchers work, with an example.",
            "priority": "P2",
            "required-capabilities": "docs",
            "files": "docs/vouchers.md\ntests/test_handbook.py",
        },
        Solutions("handbook"),
        depends_on=("checkout",),
        later_answers={
            "acceptance-criteria": _criteria("docs/vouchers.md has an example", "The example is run by the tests")
        },
    ),
    DemoTask(
        "vat",
        "Charge VAT to the cent",
        {
            "goal": "The gross price of an order is calculated so that it agrees with the tax office to the last cent.",
            "acceptance-criteria": _criteria("Half a cent is rounded up", "A negative rate is refused"),
            "priority": "P0",
            "required-capabilities": "python, tests",
            "files": "shop/tax.py\ntests/test_tax.py",
        },
        Solutions("vat", "vat-first", "test_half_a_cent_goes_up"),
    ),
    DemoTask(
        "remove",
        "Let people change their minds",
        {
            "goal": "A customer who no longer wants a thing takes it out again, and pays for the others.",
            "acceptance-criteria": _criteria("The others stay", "What is not there cannot be taken out"),
            "priority": "P0",
            "required-capabilities": "python, tests",
        },
        Solutions("remove", edits=(Insertion(CART, _ADD_LINE, _REMOVE_METHOD),)),
    ),
    DemoTask(
        "clear",
        "Begin again with nothing",
        {
            "goal": "A customer who starts over throws everything out at once.",
            "acceptance-criteria": _criteria("Nothing is left, and nothing is to be paid"),
            "priority": "P0",
            "required-capabilities": "python, tests",
        },
        Solutions("clear", edits=(Insertion(CART, _ADD_LINE, _CLEAR_METHOD),)),
    ),
    DemoTask(
        "pieces",
        "Say how many pieces it will be",
        {
            "goal": "The person who packs the parcel knows how many pieces there are to be packed.",
            "acceptance-criteria": _criteria("Pieces of all kinds are counted", "At first there are none"),
            "priority": "P0",
            "required-capabilities": "python, tests",
        },
        Solutions("pieces", edits=(Insertion(CART, _TOTAL_LINE, _PIECES_PROPERTY),)),
        is_overlooked=True,
    ),
    DemoTask(
        "coffee",
        "Sell coffee",
        {
            "goal": "Customers can buy a bag of coffee for 7.20 euros.",
            "acceptance-criteria": _criteria("Coffee is for sale, at its price"),
            "priority": "P1",
            "required-capabilities": "python, tests",
            "files": f"{CATALOGUE}\ntests/test_coffee.py",
        },
        Solutions("coffee", edits=_product_insertions("COFFEE", 'Product("C1", "Coffee", Decimal("7.20"))')),
    ),
    DemoTask(
        "teapot",
        "Sell a teapot",
        {
            "goal": "Customers can buy a teapot for 29 euros.",
            "acceptance-criteria": _criteria("The teapot is for sale, at its price"),
            "priority": "P1",
            "required-capabilities": "python, tests",
            "files": f"{CATALOGUE}\ntests/test_teapot.py",
        },
        Solutions("teapot", edits=_product_insertions("TEAPOT", 'Product("P1", "Teapot", Decimal("29.00"))')),
    ),
    DemoTask(
        "page",
        "Show the price list as a web page",
        {
            "goal": "Customers can read all prices on a page that browsers and screen readers understand.",
            "acceptance-criteria": _criteria("Every product is in the table", "No name can break the page"),
            "priority": "P1",
            "required-capabilities": "frontend",
            "files": "shop/page.py\ntests/test_page.py",
        },
        Solutions("page"),
    ),
)

_IMPLEMENT = ImplementTask({errand.title: errand.solution for errand in DEMO_TASKS})

SCENARIO = Scenario(
    demo_tasks=DEMO_TASKS,
    agents=MappingProxyType(
        {
            "codex": DemoAgent(_IMPLEMENT, 1.5),
            "claude": DemoAgent(_IMPLEMENT, 2.0),
            "cursor": DemoAgent(_IMPLEMENT, 1.2, service="cursor", crashes=True),
            "devin": DemoAgent(_IMPLEMENT, 1.2, service="devin", has_no_credit=True),
        }
    ),
)
