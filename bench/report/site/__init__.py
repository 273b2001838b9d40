"""The page for a browser, `reports/index.html`: one file with its data, tables and plots, which needs no network."""
