"""Values, state tables and errors. Standard library only; imports nothing of ours above itself."""
