"""What the metrics page says."""

from datetime import UTC, datetime

from adapters.database.database import Database
from bot.metrics import Metrics
from core.rate_limits import RateLimits


async def test_the_95th_percentile_is_the_smallest_latency_that_95_of_100_do_not_exceed(database_url: str) -> None:
    metrics, database = Metrics(RateLimits()), Database(database_url)
    metrics.recent_latencies_ms.extend(float(ms) for ms in range(20, 0, -1))
    page = (await metrics.render(database, datetime(2026, 3, 2, 9, 0, tzinfo=UTC))).decode()
    await database.close()
    assert "\np95_assignment_latency_ms 19.0\n" in page
