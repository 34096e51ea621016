"""What a person sees and does, in a real browser at a real platform."""
