"""Sweeps: tables of runs and searches for settings, on one machine or on a cluster."""
