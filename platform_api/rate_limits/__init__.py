"""Counting how often somebody does something: in this process, or in Redis for all replicas."""
