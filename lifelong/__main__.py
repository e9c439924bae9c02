"""``python -m lifelong``."""

from lifelong.cli.start import main

if __name__ == "__main__":
    main()
