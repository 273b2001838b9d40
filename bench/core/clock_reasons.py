"""What limits a GPU's clocks, by the bits of NVML's mask."""

from __future__ import annotations

#: Clock event reasons by bit (nvml.h, nvmlClocksEventReason*, formerly nvmlClocksThrottleReason*).
_REASONS = {
    0x001: "gpu idle",
    0x002: "applications clocks setting",
    0x004: "software power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "hardware power brake",
    0x100: "display clock setting",
    0x200: "board limit",
    0x400: "reliability",
}
#: The reasons with which the hardware protects itself, as opposed to settings.
SLOWED = 0x008 | 0x020 | 0x040 | 0x080


def reason_names(mask: int) -> tuple[str, ...]:
    """The names of the clock event reasons in a bitmask, lowest bit first; `unknown (0x...)` for an unknown bit."""
    bits = [1 << shift for shift in range(mask.bit_length()) if mask >> shift & 1]
    return tuple(_REASONS.get(bit, f"unknown ({bit:#x})") for bit in bits)
