"""The sockets of a lane: libcurl asks for each, and each address is judged first."""

import socket
from typing import Any, Final

from service.outbound.egress import AddressGuard

_VERDICTS_KEPT: Final = 64


class _Socket(socket.socket):
    """A socket of which libcurl keeps a duplicate; ours closes when pycurl drops it."""

    def __del__(self) -> None:
        self.close()


class Sockets:
    """Opens a lane's sockets, each address judged first.

    Attributes:
        highest: The highest descriptor opened so far.
    """

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._verdicts: dict[str, bool] = {}
        self.highest = 0

    def may_call(self, address: str) -> bool:
        """Tell whether the guard lets an address pass, a proxy's too."""
        verdict = self._verdicts.get(address)
        if verdict is None:
            verdict = self._guard.refusal(address) is None
            self._verdicts = {**self._verdicts, address: verdict} if self._has_room else {}
        return verdict

    @property
    def _has_room(self) -> bool:
        return len(self._verdicts) < _VERDICTS_KEPT

    def open(self, address: Any) -> socket.socket | None:
        """Return a socket for libcurl to connect, or ``None`` when the address is refused."""
        family, kind, protocol, target = address
        if family not in (socket.AF_INET, socket.AF_INET6) or not self.may_call(target[0]):
            return None
        opened = _Socket(family, kind, protocol)
        self.highest = max(self.highest, opened.fileno())
        return opened
