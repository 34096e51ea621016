"""Where the lines of a log are kept: chunks while a run lives, an archive afterwards."""
