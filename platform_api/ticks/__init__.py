"""When jobs are due: cron expressions, intervals and single moments on the clocks of the world."""

from platform_api.ticks.cron_ticks import CronTicks

__all__ = ["CronTicks"]
