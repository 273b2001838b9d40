"""Where the memory of a pipeline goes, and how to run one on a card. Pure."""
