"""How far a picture is from a reference: arrays in, numbers out. Never imports torch."""
