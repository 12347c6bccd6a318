"""A GitHub on your own machine: stateful, over HTTP, with real git, a manual clock and planned faults.

    async with Sandbox(root, clock=ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))) as hub:
        shop, alice = hub.repository("acme/shop"), hub.user("alice")
        hub.grant(shop, alice, "write")
        permissions = {"issues": "write"}
        app = hub.register_app("my-app", webhook_url=url, secret="…", permissions=permissions, events=["issues"])
        await hub.install(app, hub.organisation("acme"), [shop])
        issue = await alice.opens_issue(shop, "A bug", labels=["bug"])
        await hub.wait_until_idle()

By then the App's webhook was called. At `hub.url` the App can do what it can do at GitHub's API.
"""

from sandbox.actions.scripted_result import ScriptedResult
from sandbox.clock import Clock, ManualClock, RealClock
from sandbox.errors import ApiError
from sandbox.faults.plan import FaultPlan
from sandbox.http.openapi_check import Contract
from sandbox.http.rate_limits import RateLimitSettings
from sandbox.sandbox import Sandbox
from sandbox.state.deliveries import Delivery
from sandbox.state.requests import RequestRecord

__all__ = [
    "ApiError",
    "Clock",
    "Contract",
    "Delivery",
    "FaultPlan",
    "ManualClock",
    "RateLimitSettings",
    "RealClock",
    "RequestRecord",
    "Sandbox",
    "ScriptedResult",
]
