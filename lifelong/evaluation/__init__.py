"""Judging a learner over its stream: metrics, the evaluator callback, plots and tables."""
