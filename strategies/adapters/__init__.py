"""Entries of a few parameters for each experience beside a frozen trunk: how they are made, routed and merged."""
