"""What it takes to use an endpoint: requests one after another, split into their parts, and under load."""
