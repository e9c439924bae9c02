"""Estimates of how important each parameter is, and the quadratic penalty made of them."""
