"""Reliability: kills at random and chosen moments, invalid inputs, and a thousand experiences."""
