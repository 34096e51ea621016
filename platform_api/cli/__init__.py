"""The ``job-platform`` command."""
