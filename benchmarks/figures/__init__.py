"""Tables and numbers in the documents, generated from recorded files: ``python -m benchmarks.figures``."""
