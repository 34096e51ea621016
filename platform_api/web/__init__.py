"""HTML doors to the same use cases as REST."""
