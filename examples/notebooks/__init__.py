"""Notebooks that tell a story each; they run in a test, and on the site they are shown with their outputs."""
