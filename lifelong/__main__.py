"""``python -m lifelong``."""
# PYTHON_ARGCOMPLETE_OK: enables shell completion

from lifelong.cli.start import main

if __name__ == "__main__":
    main()
