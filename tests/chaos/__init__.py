"""Breaks a running platform at random while jobs tick, and asks afterwards what became of every tick.

`plan` draws the faults from a seed, `surroundings` is what they strike, `tickers` are the jobs, `witness` hears from
every script that starts, `oracle` judges. `python -m tests.chaos` is the long form, `test_one_minute` the short one.
"""
