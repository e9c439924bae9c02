"""A figure that notebooks display; the only module that imports matplotlib at the top."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class Picture(Figure):
    """Show a figure in IPython without the hooks that pyplot installs."""

    def _repr_png_(self) -> bytes:
        memory = io.BytesIO()
        self.savefig(memory, format="png", dpi=110)
        return memory.getvalue()
