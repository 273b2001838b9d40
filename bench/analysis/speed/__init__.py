"""Predict the time of a call on a card that nobody measured, by its work, the card's rates and other cards' times."""
