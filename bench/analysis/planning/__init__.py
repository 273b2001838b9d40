"""What fits a card, and which card to buy or rent for an image: values, and the order of cards by price."""
