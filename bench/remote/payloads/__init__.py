"""The bytes of a tensor on the wire: the remedy for what diffusers' client does to them, and a check of that client.

Free of torch (`check` alone loads it, in a process of its own), so that `bench doctor` can import this room.
"""

from bench.remote.payloads.remedy import bytes_of, sendable

__all__ = ["bytes_of", "sendable"]
