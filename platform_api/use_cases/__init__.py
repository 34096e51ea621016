"""One function per verb a user knows: guard, load, decide, act, record."""
