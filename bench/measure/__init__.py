"""How one call is measured: clocks, the timing loop, memory meters, the driver's figures. Knows no model."""
