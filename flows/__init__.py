"""Prefect flows: the generic `run-script` flow that every job is a deployment of."""
