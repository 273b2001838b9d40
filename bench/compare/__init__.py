"""Two sides of a comparison, records in and a Comparison out. This is what the other rooms use of it."""

from bench.compare.comparison import CASE_VERDICTS, Comparison, MachineComparison, compare
from bench.compare.request import Request, request

__all__ = ["CASE_VERDICTS", "Comparison", "MachineComparison", "Request", "compare", "request"]
