"""The part that an endpoint and its clients share: addresses, messages and errors."""
