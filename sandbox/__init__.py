"""A GitHub on your own machine: stateful, over HTTP, with real git, a clock to turn and faults to plan.

    async with Sandbox(root, clock=TurnedClock(datetime(2026, 3, 2, 9, tzinfo=UTC))) as hub:
        shop, alice = hub.repository("acme/shop"), hub.user("alice")
        hub.grant(shop, alice, "write")
        app = hub.app("my-app", webhook_url=url, secret="…", permissions={"issues": "write"}, events=["issues"])
        await hub.install(app, hub.organisation("acme"), [shop])
        issue = await alice.opens_issue(shop, "A bug", labels=["bug"])
        await hub.settled()

The App's webhook has been called by now, and it can do at `hub.url` what it could do at GitHub's.
"""

from sandbox.actions.conclusion import Conclusion
from sandbox.clock import Clock, RealClock, TurnedClock
from sandbox.contract import Contract
from sandbox.deliver import Delivery
from sandbox.errors import ApiError
from sandbox.faults import FaultPlan
from sandbox.hub import Sandbox
from sandbox.limits import Limits
from sandbox.serve import RequestRecord

__all__ = [
    "ApiError",
    "Clock",
    "Conclusion",
    "Contract",
    "Delivery",
    "FaultPlan",
    "Limits",
    "RealClock",
    "RequestRecord",
    "Sandbox",
    "TurnedClock",
]
