"""The error atlas: rules about vendors' answers, read once from ``error_atlas/`` and checked.

Each file there is one vendor's table, under the name that adapters use.

A vendor's rules are its own, then those of the vendor it ``extends``. Among the rules that match a
reply the most specific wins: each exact status, code and condition makes a rule more specific.
"""

from collections.abc import Mapping
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


class _Table(Vendor, kw_only=True):
    checked_on: str
    rules: tuple[Rule, ...]


class Atlas:
    """The checked rules of every vendor; ``tables`` holds each one's file by name."""

    def __init__(self, tables: Mapping[str, bytes]) -> None:
        read = {name: _read(name, table) for name, table in sorted(tables.items())}
        self.vendors: dict[str, Vendor] = {**read}
        self.rules = tuple(rule for table in read.values() for rule in table.rules)
        self._own = {name: table.rules for name, table in read.items()}
        self._ordered = {name: self._by_specificity(name) for name in read}
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
        placed = [(place, rule) for place, name in enumerate(chain) for rule in self._own[name]]
        placed.sort(key=lambda each: (-each[1].match.specificity, each[0]))
        return tuple(rule for _, rule in placed)

    def _check(self) -> None:
        ids = [rule.id for rule in self.rules]
        if len(set(ids)) != len(ids):
            raise AtlasError("Two rules of the error atlas have one id.")
        for rule in self.rules:
            _check_rule(rule)
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
    folder = resources.files("service.outbound").joinpath("error_atlas")
    return Atlas(
        {
            each.name.removesuffix(".json"): each.read_bytes()
            for each in folder.iterdir()
            if each.name.endswith(".json")
        }
    )


def _read(name: str, table: bytes) -> _Table:
    try:
        read = msgspec.json.decode(table, type=_Table)
    except msgspec.ValidationError as error:
        raise AtlasError(f"The table of {name} is malformed: {error}") from error
    for rule in read.rules:
        if not rule.id.startswith(f"{name}."):
            raise AtlasError(f"{rule.id} is in the table of {name}: begin its id with {name}.")
    return read


def _check_rule(rule: Rule) -> None:
    repeats = rule.retry.kind not in (RetryKind.NEVER, RetryKind.FIX)
    problems = {
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
