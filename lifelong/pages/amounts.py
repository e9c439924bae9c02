"""Amounts as people read them: bytes, seconds and counts."""

from __future__ import annotations


def in_bytes(n: float) -> str:
    """Return an amount of memory in a unit that fits.

    Example:
        >>> in_bytes(0), in_bytes(950), in_bytes(23_839_632)
        ('0 B', '950 B', '23.8 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            return f"{n:.0f} B" if unit == "B" else f"{n:.{1 if n < 100 else 0}f} {unit}"
        n /= 1000
    raise AssertionError


def in_time(seconds: float) -> str:
    """Return a time in units that fit.

    Example:
        >>> in_time(4.23), in_time(427.5), in_time(7384)
        ('4.2 s', '7 min 8 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"
