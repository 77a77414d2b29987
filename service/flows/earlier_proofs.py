"""Logins that came without a proof although their device has proved them before.

An app attaches the proof to one event and goes on sending the login with every other; the device's
login register remembers what was proved, in every process and for weeks.
Source: service/decisions/0015-login-proof.md, 0002-identity.md.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from service.access.login_proofs import Flaw
from service.identity.graph import Placement
from service.identity.identity_map import ClaimedIdentity, RefusedIdentity, identity_key
from service.identity.linking import NamespaceRules


def proved_before(
    identities: Iterable[ClaimedIdentity],
    refused: Sequence[RefusedIdentity],
    placement: Placement,
    rules: NamespaceRules,
) -> frozenset[UUID]:
    """Return the keys of the logins without a proof that the device is logged in as.

    A login of the same person, such as an email address that was proved beside the customer's
    number, counts with it. Nothing is returned for what was not placed, such as a duplicate.

    Args:
        identities: Those of one event or consent.
        refused: What was refused of it.
        placement: Where its batch hangs.
        rules: Which namespaces name people.
    """
    unproved = [
        identity_key(each.namespace, each.value) for each in refused if each.reason == Flaw.MISSING
    ]
    if not unproved:
        return frozenset()
    devices = (
        placement.nodes.get(each.key)
        for each in identities
        if each.namespace in rules and not rules[each.namespace].is_person
    )
    people = {node.login.parent for node in devices if node is not None} - {None}
    return frozenset(
        key
        for key in unproved
        if key in people
        or ((node := placement.nodes.get(key)) is not None and node.login.parent in people)
    )
