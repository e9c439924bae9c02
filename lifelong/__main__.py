"""``python -m lifelong``."""
# PYTHON_ARGCOMPLETE_OK: the shell may ask it how a line goes on

from lifelong.cli.start import main

if __name__ == "__main__":
    main()
