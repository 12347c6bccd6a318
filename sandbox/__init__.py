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

from sandbox.actions.scripted_result import Conclusion
from sandbox.clock import Clock, ManualClock, RealClock
from sandbox.errors import ApiError
from sandbox.faults.plan import FaultPlan
from sandbox.http.openapi_check import Contract
from sandbox.http.rate_limits import RateLimits
from sandbox.sandbox import Sandbox
from sandbox.state.deliveries import Delivery
from sandbox.state.requests import RequestRecord

__all__ = [
    "ApiError",
    "Clock",
    "Conclusion",
    "Contract",
    "Delivery",
    "FaultPlan",
    "ManualClock",
    "RateLimits",
    "RealClock",
    "RequestRecord",
    "Sandbox",
]
