"""One number of a table: its text and its value."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

MINUS = "−"
NUMBER = re.compile(r"^[\s*]*(?P<value>[-−+]?[\d,]*\.?\d+)(?:\s*±\s*(?P<half>[\d,]*\.?\d+))?")


@dataclass(frozen=True)
class Figure:
    """Store the text of a table's cell, and its value if it is a number.

    Args:
        text: the text; empty if there is none.
        value: the number; NaN if the text is not a number.
        half: half width of its interval, or its standard error; NaN without.
        digits: number of decimal places.
    """

    text: str
    value: float = math.nan
    half: float = math.nan
    digits: int = 1

    @classmethod
    def of_text(cls, text: str) -> Figure:
        """Parse the number at the start of a text.

        Example:
            >>> figure = Figure.of_text("80.9 ± 3.0")
            >>> figure.value, figure.half, figure.digits
            (80.9, 3.0, 1)
            >>> Figure.of_text("n/a").value
            nan
        """
        if (match := NUMBER.match(text)) is None:
            return cls(text)
        value, half = (_number(match[name]) for name in ("value", "half"))
        return cls(text, value, half, len(match["value"].partition(".")[2]))

    @classmethod
    def of_number(cls, value: float, half: float = math.nan, digits: int = 1) -> Figure:
        """Format a number.

        Example:
            >>> Figure.of_number(-0.417, 0.8).text
            '−0.4 ± 0.8'
        """
        return cls("", value, half, digits).rounded(digits)

    def rounded(self, digits: int) -> Figure:
        """Return the figure with this many decimal places; text is unchanged.

        Example:
            >>> Figure.of_text("0.256 ± 0.012").rounded(1).text
            '0.3 ± 0.0'
        """
        if math.isnan(self.value):
            return self
        half = "" if math.isnan(self.half) else f" ± {number_text(self.half, digits)}"
        return replace(self, text=number_text(self.value, digits) + half, digits=digits)

    def alone(self) -> Figure:
        """Return the figure without the part after ``±``.

        Example:
            >>> Figure.of_text("80.9 ± 3.0").alone().text
            '80.9'
        """
        return replace(self, half=math.nan).rounded(self.digits)


def number_text(value: float, digits: int) -> str:
    """Format a number with thousands separators and a typographic minus sign.

    Example:
        >>> number_text(-1234.5, 1), number_text(-0.01, 1)
        ('−1,234.5', '0.0')
    """
    text = f"{value:,.{digits}f}"
    return (text if float(text.replace(",", "")) else text.removeprefix("-")).replace("-", MINUS)


def _number(text: str | None) -> float:
    return math.nan if text is None else float(text.replace(",", "").replace(MINUS, "-"))
