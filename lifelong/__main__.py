"""``python -m lifelong``."""

from lifelong.start import main

if __name__ == "__main__":
    main()
