"""Who may do what: pure, and it imports nothing of ours."""
