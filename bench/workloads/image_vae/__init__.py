"""VAEs that encode and decode images."""
