"""Measurements of the whole platform on this machine. They report and never gate: `make bench`."""
