"""What an image costs on a card, bought or rented, and on an endpoint: seconds and joules from records, and prices."""
