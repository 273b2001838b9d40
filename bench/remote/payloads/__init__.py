"""The bytes of a tensor on the wire: a check of diffusers' client, which can corrupt them, and the remedy.

Free of torch (only `check` loads it, in a process of its own), so that `bench doctor` can import this room.
"""

from bench.remote.payloads.remedy import bytes_of, sendable

__all__ = ["bytes_of", "sendable"]
