"""A page on this machine on which a person teaches a trained model classes of their own, and asks it."""
