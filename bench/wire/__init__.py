"""What an endpoint and its clients share: addresses, and the error messages that travel."""
