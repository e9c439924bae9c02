"""How fast and how large: one module a suite, run by ``python -m benchmarks``."""
