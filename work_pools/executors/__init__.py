"""How an attempt becomes a process or a pod."""
