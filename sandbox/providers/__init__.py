"""Simulated services of agents outside GitHub: Cursor, Jules, Devin, and a team's own server.

    services = await ServiceServer.open(hub)
    cursor = services.agent("cursor", Stalls(), key="key-of-cursor")
    services.url("cursor")                     # its address
    cursor.faults.append("500-done")           # the next start succeeds and is answered 500

Each has the API of its documentation, works by a script with real commits and pull requests, and can fail.
"""

from sandbox.providers.server import ServiceServer
from sandbox.providers.sessions import OutOfCredit, ServiceAgent, ServiceSession, StartFault

__all__ = ["OutOfCredit", "ServiceAgent", "ServiceServer", "ServiceSession", "StartFault"]
