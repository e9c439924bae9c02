"""Runs: their folder, how they are started, resumed and loaded, and what they log."""
