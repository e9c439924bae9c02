"""Tables and figures of the documents, written from recorded files: ``python -m benchmarks.figures``."""
