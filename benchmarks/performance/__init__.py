"""Speed and memory: one module per suite, run by ``python -m benchmarks``."""
