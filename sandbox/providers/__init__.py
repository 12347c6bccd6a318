"""The services of agents outside GitHub, on your own machine: Cursor, Jules, Devin, and a server of a team's own.

    services = await AgentServices.open(hub)
    cursor = services.agent("cursor", Stalls(), key="key-of-cursor")
    services.url("cursor")                     # where it listens
    cursor.faults.append("500-done")           # the next start is done, and answered 500

Each speaks as its documentation says, works by a script with real commits and pull requests, and can go wrong.
"""

from sandbox.providers.server import ServiceServer
from sandbox.providers.sessions import OutOfCredit, ServiceAgent, ServiceSession, StartFault

__all__ = ["OutOfCredit", "ServiceAgent", "ServiceServer", "ServiceSession", "StartFault"]
