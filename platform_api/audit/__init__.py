"""The audit trail: a closed vocabulary of actions, entries and redaction."""
