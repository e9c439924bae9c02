"""Scripts that show how lifelong is used; each runs in a test."""
