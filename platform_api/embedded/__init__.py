"""The whole platform on one machine: PostgreSQL, Prefect, API and worker under one supervisor."""
