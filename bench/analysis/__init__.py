"""What follows from records: comparisons, costs, predicted times, advice. Pure: records in, values out; never torch."""
