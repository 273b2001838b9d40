"""Two sides of a comparison, records in and a Comparison out. This is what the other rooms use of it."""

from bench.analysis.compare.settings import Request, request
from bench.analysis.compare.whole import CASE_VERDICTS, Comparison, MachineComparison, compare

__all__ = ["CASE_VERDICTS", "Comparison", "MachineComparison", "Request", "compare", "request"]
