"""JSON doors: they parse, call one use case and render; they decide nothing."""
