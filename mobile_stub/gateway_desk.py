"""What a gateway knows, and what becomes of a request that a vendor has checked."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mobile_stub.gateway_dialect import Dialect
from mobile_stub.gateway_faults import Fault, Route
from mobile_stub.gateway_http import Reply
from mobile_stub.gateway_memory import Memory, Received
from mobile_stub.gateway_oauth import ServiceAccount
from mobile_stub.gateway_phones import Phones
from mobile_stub.gateway_script import Script
from mobile_stub.gateway_vendors import VendorAnswer, faulty
from mobile_stub.gateway_wire import Request


@dataclass(slots=True)
class Desk:
    """What a gateway knows; its vendors' side writes here, its admin side shows it.

    Attributes:
        vendors: How a caller reaches each vendor, with the secrets that this one accepts.
        connections: Tells of each HTTP/2 connection there was, oldest first.
    """

    account: ServiceAccount
    memory: Memory
    script: Script = field(default_factory=Script)
    phones: Phones = field(default_factory=Phones)
    vendors: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    connections: Callable[[], list[dict[str, int]]] = field(default=list)
    waits: set[asyncio.Task[Reply]] = field(default_factory=set)
    _serial: int = 0

    def next_serial(self) -> int:
        """Return a number that no other message of this gateway has."""
        self._serial += 1
        return self._serial

    def settle(
        self,
        request: Request,
        route: Route,
        dialect: Dialect,
        address: str,
        message: dict[str, Any],
        message_id: str,
        usual: VendorAnswer,
    ) -> Reply:
        """Let the script decide, remember the request, and deliver what was accepted."""
        fault = self.script.pick(route, address)
        given = usual if fault is None else faulty(fault, dialect, usual)
        kept_id = self.take(fault, address, message, message_id)
        return self.remember(request, route, address, given, accepted_id=kept_id)

    def take(
        self, fault: Fault | None, address: str, message: dict[str, Any], message_id: str
    ) -> str | None:
        """Deliver a message unless the fault loses it; return its id when the vendor has it."""
        if fault is not None and not fault.accepted:
            return None
        self.phones.deliver(address, message_id, message)
        return message_id

    def remember(
        self,
        request: Request,
        route: Route,
        address: str | None,
        given: VendorAnswer,
        *,
        accepted_id: str | None,
    ) -> Reply:
        """Keep a request with what came of it; return the reply."""
        key = request.headers.get(b"idempotency-key")
        self.note(request, route, address, given.status, accepted_id, key)
        return given.reply

    def note(
        self,
        request: Request,
        route: Route,
        address: str | None,
        status: int,
        accepted_id: str | None,
        key: bytes | None,
    ) -> None:
        """Keep a request; ``key`` is what two requests for one message have in common."""
        self.memory.add(
            Received(
                request.arrived_ns,
                route,
                address,
                key.decode("latin-1") if key is not None else None,
                request.body,
                status,
                accepted_id is not None,
                accepted_id,
            )
        )
