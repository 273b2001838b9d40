"""The form of a bundle: one file with what a card measured, which can be sent."""
