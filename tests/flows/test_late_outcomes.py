"""A call that ends after it was given up: its outcome must not undo what was done since."""

from dataclasses import replace

from service.db.session import SessionFactory
from service.flows import deliver
from service.outbound.follow_up import OnUnknown
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import PUSH, DeliveryWorld
from tests.support.fake_transport import FakeTransport, answered, silent

LEASE_S = 61


def test_an_answer_that_comes_late_does_not_end_the_repeated_call(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    late, early = FakeTransport(), FakeTransport()
    world = DeliveryWorld(store, scope, clock, late)
    world.add_action(replace(PUSH, on_unknown=OnUnknown.RETRY))
    world.add_person("ann")
    world.enter("ann")
    late.script = early.script = silent
    first = world.runner()
    first.step()
    clock.advance(LEASE_S)
    tools = world.tools_of("worker-2", early)
    deliver.reap_doubtful(tools)
    second = world.runner(tools=tools)
    second.step()

    late.script = answered
    first.close()
    between = [row.outcome for row in world.attempts()]
    told_between = len(world.told())
    early.script = answered
    second.close()

    assert between == ["unknown", None]
    assert told_between == 0
    assert [row.outcome for row in world.attempts()] == ["unknown", "sent"]
    assert world.states() == {"sent": 1}
    assert len(world.told()) == 1
    assert world.balance().differences == ()
