"""Who are you: credentials in, ``rbac.Principal`` out."""
