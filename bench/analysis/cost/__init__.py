"""What an image costs on a card, bought or rented, and on an endpoint. Pure.

Seconds and joules come from records (by way of `hybrid`), prices from `prices.yaml`; never torch.
"""
