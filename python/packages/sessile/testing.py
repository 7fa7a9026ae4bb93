"""For tests: a clock that they move by hand."""

from ._sessile import ManualClock

__all__ = ["ManualClock"]
