"""Memories of past examples and tasks within a budget."""
