"""Scripts that show how the parts are used; each runs in a test."""
