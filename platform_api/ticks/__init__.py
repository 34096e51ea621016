"""When jobs are due: the only room that does calendar arithmetic."""
