"""The command line: a thin layer over ``lifelong.run``."""
