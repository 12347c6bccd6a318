import pytest
from sqlalchemy import text
from tests.adapters.test_job_queue import place, Place

Q = "SELECT seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'procrastinate_jobs'"
IDX = "SELECT indexrelname, idx_scan, idx_tup_read, idx_tup_fetch FROM pg_stat_user_indexes WHERE relname = 'procrastinate_jobs'"


@pytest.mark.parametrize("when", [*range(10)])
async def test_x(place, when):
    import asyncio

    fetch = text("SELECT (procrastinate_fetch_job_v2(ARRAY['default'], 1)).id")
    async with place.database.engine.connect() as c:

        async def an(w):
            if w == when:
                async with place.database.autocommit() as o:
                    await o.execute(text("ANALYZE procrastinate_jobs"))

        await c.execute(text("INSERT INTO procrastinate_workers (id) OVERRIDING SYSTEM VALUE VALUES (1)"))
        await c.execute(text("ANALYZE procrastinate_jobs"))
        await c.commit()
        for n in range(10):
            await place.ask(n)
            await c.execute(fetch)
            await c.commit()
            if n == when:
                await an(when)
        await an("after_loop")
        print("small", (await c.execute(text(Q))).one())
        await c.commit()
        await place.ask(*range(10, 1010))
        await an("after_long")
        if when == "sleep":
            await asyncio.sleep(1.5)
        b = (await c.execute(text(IDX))).all()
        r0 = (await c.execute(text(Q))).one()
        await c.execute(fetch)
        print(when, r0, (await c.execute(text(Q))).one())
