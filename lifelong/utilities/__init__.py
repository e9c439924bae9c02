"""Small helpers that know nothing of learning: caches, versions, files, progress bars, recorded arguments."""
