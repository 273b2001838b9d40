"""Child processes: start one, exchange lines with it, and end it together with its parent."""
