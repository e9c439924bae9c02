"""Training a learner on a stream with Lightning."""
