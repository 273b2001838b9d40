"""What a worker says of the machine's cards, and of who else uses its own, whether it has taken it or not."""

from __future__ import annotations

from bench.device import choose
from bench.errors import DeviceError
from bench.run.messages import CardsListed, EarlyAnswer, EarlyQuestion, ListCards, Refused, Survey


class Lookout:
    """Answers the questions that may come before the device is taken."""

    def __init__(self) -> None:
        self._device: choose.DeviceLookout | None = None

    def answer(self, request: EarlyQuestion, *, has_device: bool) -> EarlyAnswer | Refused:
        """The answer; Refused with the reason if there is no such device."""
        if isinstance(request, ListCards):
            cards, reason = choose.cards()
            names, identities = tuple(card.name for card in cards), tuple(card.identity for card in cards)
            return CardsListed(names=names, identities=identities, reason=reason)
        try:
            self._device = self._device or choose.lookout(request.device)
        except DeviceError as error:
            return Refused(reason=str(error))
        neighbours = self._device.look(has_device=has_device)
        return Survey(neighbours=neighbours, total_bytes=self._device.total_bytes, reason=self._device.reason)
