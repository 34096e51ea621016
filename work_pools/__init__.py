"""Where scripts run: the worker, its executors and what ships their logs."""
