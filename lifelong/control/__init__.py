"""Control: robots that a learner drives."""
