"""Records and advice as flat tables for notebooks and other programs: their columns, DataFrames, CSV and Parquet."""
