"""Local or remote: what is known of each case, set side by side. Pure; imports record, stats and units at the most."""
