"""PostgreSQL: tables, migrations, the job queue, and the queries."""
