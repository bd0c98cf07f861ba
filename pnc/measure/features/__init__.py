"""Measuring features that were saved: in memory, in a file, or in many files on several machines."""

from pnc.measure.features.measure import measure_features

__all__ = ["measure_features"]
