"""Whether records that somebody sent are plausible. Pure: records and what is expected of them in, findings out."""
