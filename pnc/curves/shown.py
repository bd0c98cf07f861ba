"""What results do in a notebook: a table in HTML, a figure, a data frame. Drawn by `pnc.report`, loaded when asked."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

__all__ = ["Shown"]


class Shown:
    """A result that a notebook shows as a table and that can be plotted."""

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return importlib.import_module("pnc.report.notebook").html_of(self)

    def plot(self, *, style: str = "screen") -> Figure:
        """C (logarithmic) and D against the layer, with whatever theory, bounds and errors there are.

        Args:
            style: `screen` or `paper`.

        Raises:
            InvalidInputError: another style.
        """
        return importlib.import_module("pnc.report.notebook").figure_of(self, style=style)

    def to_dataset(self) -> xarray.Dataset:
        """A labelled dataset with dimension `layer`; every variable and coordinate has `long_name` and `units`."""
        raise NotImplementedError

    def to_dataframe(self) -> pandas.DataFrame:
        """One row a layer: `to_dataset` as a table."""
        frame = self.to_dataset().to_dataframe()
        if "name" in frame.columns:
            frame.insert(0, "name", frame.pop("name"))
        return frame
