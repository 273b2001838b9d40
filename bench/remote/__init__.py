"""The hybrid side: an endpoint of one's own, and the latency of any endpoint."""
