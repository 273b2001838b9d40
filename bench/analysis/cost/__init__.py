"""What an image costs: on a card of one's own, on a rented one, on an endpoint. Pure.

Seconds and joules come from records (by way of `hybrid`), prices from `prices.yaml`; never torch.
"""
