from sqlalchemy import text
from tests.adapters.test_job_queue import place, Place


async def test_x(place):
    fetch = text("SELECT (procrastinate_fetch_job_v2(ARRAY['default'], 1)).id")
    async with place.database.engine.connect() as c:
        raw = (await c.get_raw_connection()).driver_connection
        raw.add_notice_handler(lambda d: print(d.message_primary))
        for s in (
            "LOAD 'auto_explain'",
            "SET auto_explain.log_min_duration=0",
            "SET auto_explain.log_nested_statements=on",
            "SET auto_explain.log_analyze=on",
            "SET client_min_messages='log'",
        ):
            await raw.execute(s)
        await c.execute(text("INSERT INTO procrastinate_workers (id) OVERRIDING SYSTEM VALUE VALUES (1)"))
        await c.execute(text("ANALYZE procrastinate_jobs"))
        await c.commit()
        for n in range(10):
            await place.ask(n)
            await c.execute(fetch)
            await c.commit()
            if n == 0:
                async with place.database.autocommit() as o:
                    await o.execute(text("ANALYZE procrastinate_jobs"))
        await place.ask(*range(10, 1010))
        print("LONG")
        await c.execute(fetch)
