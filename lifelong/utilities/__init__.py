"""Small helpers that are independent of learning: caches, versions, files, progress bars, recorded arguments."""
