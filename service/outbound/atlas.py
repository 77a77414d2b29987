"""The error atlas: rules about vendors' answers, read once from ``error_atlas.json`` and checked.

A vendor's rules are its own, then those of the vendor it ``extends``. Among the rules that match a
reply the most specific wins: each exact status, code and condition makes a rule more specific.
"""

from collections.abc import Collection
from functools import lru_cache
from importlib import resources

import msgspec

from service.core.errors import EdgepostError
from service.outbound.atlas_rules import (
    OutcomeKind,
    RetryKind,
    Rule,
    Scope,
    TokenEffect,
    TokenGuard,
    Vendor,
)
from service.outbound.transport import ReplyKind

_CLASSES = ("2xx", "3xx", "4xx", "5xx")
_NO_REPLY = (ReplyKind.NOT_SENT, ReplyKind.UNKNOWN)


class AtlasError(EdgepostError):
    """The atlas contradicts itself; nothing can be sent with it."""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    checked_on: str
    vendors: dict[str, Vendor]
    rules: tuple[Rule, ...]


class Atlas:
    """The checked rules."""

    def __init__(self, document: bytes) -> None:
        try:
            content = msgspec.json.decode(document, type=_Document)
        except msgspec.ValidationError as error:
            raise AtlasError(f"The error atlas is malformed: {error}") from error
        self.vendors = content.vendors
        self.rules = content.rules
        self._ordered = {name: self._by_specificity(name) for name in content.vendors}
        self._known: dict[tuple[str, ReplyKind, int], tuple[Rule, ...]] = {}
        self._check()

    def candidates(self, vendor: str, reply: ReplyKind, status: int) -> tuple[Rule, ...]:
        """Return the rules that a kind of reply and its status leave, the most specific first."""
        key = (vendor, reply, status)
        known = self._known.get(key)
        if known is None:
            known = tuple(rule for rule in self._ordered[vendor] if rule.match.fits(reply, status))
            self._known[key] = known
        return known

    def chain(self, vendor: str) -> tuple[str, ...]:
        """Return a vendor and those it extends, itself first."""
        names = [vendor]
        while (above := self.vendors[names[-1]].extends) is not None:
            if above in names or above not in self.vendors:
                raise AtlasError(f"{names[-1]} extends {above}, which is unknown or a circle.")
            names.append(above)
        return tuple(names)

    def _by_specificity(self, vendor: str) -> tuple[Rule, ...]:
        chain = self.chain(vendor)
        own = [rule for rule in self.rules if rule.vendor in chain]
        return tuple(
            sorted(own, key=lambda rule: (-rule.match.specificity, chain.index(rule.vendor)))
        )

    def _check(self) -> None:
        ids = [rule.id for rule in self.rules]
        if len(set(ids)) != len(ids):
            raise AtlasError("Two rules of the error atlas have one id.")
        for rule in self.rules:
            _check_rule(rule, self.vendors.keys())
        for vendor, rules in self._ordered.items():
            plain = [
                rule.match for rule in rules if not rule.match.code and not rule.match.when.count
            ]
            missing = [
                *(name for name in _CLASSES if not any(name in match.status for match in plain)),
                *(kind for kind in _NO_REPLY if not any(match.reply is kind for match in plain)),
            ]
            if not any(match.reply is ReplyKind.ANSWERED and not match.status for match in plain):
                missing.append("any answer")
            if missing:
                raise AtlasError(f"{vendor} has no default for {', '.join(missing)}.")


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """Return the atlas that comes with the service; read and checked once.

    Raises:
        AtlasError: It contradicts itself.
    """
    return Atlas(resources.files("service.outbound").joinpath("error_atlas.json").read_bytes())


def _check_rule(rule: Rule, vendors: Collection[str]) -> None:
    repeats = rule.retry.kind not in (RetryKind.NEVER, RetryKind.FIX)
    problems = {
        "is of no vendor": rule.vendor not in vendors,
        "has no sample": not rule.sim,
        "gives no advice": not rule.advice,
        "is a retry that never repeats": rule.outcome is OutcomeKind.RETRY and not repeats,
        "repeats what is settled": rule.outcome in (OutcomeKind.SENT, OutcomeKind.FAILED)
        and repeats,
        "repeats without a limit": repeats and rule.retry.max_attempts <= 1,
        "waits longer than its cap": rule.retry.min_s > rule.retry.cap_s,
        "touches a token it does not know of": rule.token.effect is not TokenEffect.NONE
        and rule.scope is not Scope.RECIPIENT,
        "kills a token without a guard": rule.token.effect is TokenEffect.DEAD
        and rule.token.guard is TokenGuard.NONE,
    }
    for problem, is_so in problems.items():
        if is_so:
            raise AtlasError(f"{rule.id} {problem}.")
