"""A job as Prefect sees it; the only room that speaks Prefect's API."""
