"""Compare two sides of records: a Request and two Sides in, a Comparison out. These are the names for other rooms."""

from bench.analysis.compare.settings import Request, request
from bench.analysis.compare.whole import CASE_VERDICTS, Comparison, MachineComparison, compare
