"""Lifelong: learners that keep learning from few examples, one domain after another, without forgetting."""
