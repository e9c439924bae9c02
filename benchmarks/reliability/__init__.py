"""Measures what a run survives: kills at random and chosen moments, bad inputs, and a thousand experiences."""
