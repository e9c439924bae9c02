"""Bytes and durations as readable text."""

from __future__ import annotations


def bytes_text(n_bytes: float) -> str:
    """Write a number of bytes.

    Example:
        >>> bytes_text(0), bytes_text(42_240), bytes_text(2_660_368), bytes_text(214e6)
        ('0', '42 kB', '2.7 MB', '214 MB')
    """
    for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= size:
            value = n_bytes / size
            return f"{value:.1f} {name}" if value < 9.95 else f"{value:.0f} {name}"
    return f"{n_bytes:.0f} B" if n_bytes else "0"


def seconds_text(seconds: float) -> str:
    """Write a duration.

    Example:
        >>> seconds_text(8.21), seconds_text(190.6), seconds_text(5400)
        ('8.2 s', '3.2 min', '1.5 h')
    """
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.1f} s"


def clock(seconds: float) -> str:
    """Return a time as hours, minutes and seconds.

    Example:
        >>> clock(65), clock(4000), clock(0.4)
        ('1:05', '1:06:40', '0:00')
    """
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
