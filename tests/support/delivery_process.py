"""A process that delivers what is due in one lane until it is killed.

python -m tests.support.delivery_process DATABASE_URL SECRET_KEY ACTION_ID WORKER
"""

import sys
from uuid import UUID

from service.core.clock import SystemClock
from service.db.engine import open_engine
from service.db.session import SessionFactory
from service.outbound.egress import AddressGuard
from service.outbound.transport_curl import CurlTransport
from service.sandboxes.scope import Scope
from tests.support.delivery_world import DeliveryWorld


def main(url: str, key: str, action_id: str, worker: str) -> None:
    """Deliver for a minute at most."""
    clock = SystemClock()
    store = SessionFactory(open_engine(url))
    transport = CurlTransport(AddressGuard.of("127.0.0.0/8"))
    world = DeliveryWorld(store, Scope(1, "prod"), clock, transport, worker=worker, key=key)
    world.action_id = UUID(action_id)
    ends_at = clock.monotonic() + 60
    runner = world.runner(slots=16)
    runner.run(lambda: clock.monotonic() > ends_at, idle_s=60)


if __name__ == "__main__":
    main(*sys.argv[1:])
