"""The platform: people, permissions, audit and exact execution around Prefect."""

__version__ = "0.1.0"
