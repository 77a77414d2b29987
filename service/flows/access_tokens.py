"""Gives access tokens for client secrets, and says what a presented token may do."""

import hashlib
from dataclasses import dataclass

from service.access import credentials, signing_keys, tokens
from service.access.permissions import Permission, requested
from service.access.tokens import AccessToken, ExpiredTokenError
from service.core.clock import Clock
from service.core.errors import ForbiddenError, UnauthorizedError
from service.core.secret import Keyring, Secret
from service.db.session import SessionFactory, unit_of_work
from service.sandboxes.scope import Scope

_REMEMBERED_S = 5.0
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token to hand out once; ``expires_in`` is in seconds, ``permissions`` what it allows."""

    text: Secret
    expires_in: int
    permissions: tuple[Permission, ...]


class AccessTokens:
    """One process's way to issue and verify access tokens.

    A verified token is remembered for five seconds, which is how long a revoked client may go on.
    """

    def __init__(
        self,
        sessions: SessionFactory,
        keyring: Keyring,
        clock: Clock,
        *,
        org_id: str,
        life_s: int,
    ) -> None:
        self._sessions = sessions
        self._keyring = keyring
        self._clock = clock
        self._org_id = org_id
        self._life_s = life_s
        self._remembered: dict[bytes, tuple[AccessToken, float]] = {}

    def issue(self, client_id: str, secret: Secret, wanted: list[str]) -> IssuedToken:
        """Return a token for the client's permissions, or for those it asks for among them.

        Raises:
            UnauthorizedError: The client is unknown or revoked, or the secret is wrong.
            ForbiddenError: It asks for a permission that it was not given or that does not exist.
            StoreUnavailableError: The store is away.
        """
        with unit_of_work(self._sessions) as session:
            credential = credentials.find_active(session, client_id)
        if not credentials.proves(credential, secret) or credential is None:
            raise UnauthorizedError("The client id or secret is wrong, or the client was revoked.")
        permissions = _narrowed(frozenset(credential.permissions), wanted)
        now = self._clock.now()
        token = AccessToken(
            client_id,
            self._org_id,
            permissions,
            frozenset(credential.sandboxes),
            tokens.end_of(now, self._life_s),
        )
        with unit_of_work(self._sessions) as session:
            key = signing_keys.current(session, self._keyring, now=now)
        text = Secret(tokens.issue(token, key, now=now))
        return IssuedToken(text, self._life_s, tuple(sorted(permissions)))

    def verify(self, text: str) -> AccessToken:
        """Return what a token may do.

        Raises:
            UnauthorizedError: It is malformed, altered or expired, or its client was revoked.
            StoreUnavailableError: The store had to be asked and is away.
        """
        name = hashlib.sha256(text.encode()).digest()
        token, remembered_until = self._remembered.get(name, (None, 0.0))
        if token is None or self._clock.monotonic() >= remembered_until:
            token = self._verify_anew(text)
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[name] = (token, self._clock.monotonic() + _REMEMBERED_S)
        if token.expires_at <= self._clock.now():
            raise ExpiredTokenError("The access token has expired; ask for a new one.")
        return token

    def may_collect(self, authorization: str | None, scope: Scope) -> bool:
        """Tell whether an ``Authorization`` header lets its sender into an authenticated inlet.

        Raises:
            StoreUnavailableError: The store had to be asked and is away.
        """
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        try:
            token = self.verify(text.strip())
        except UnauthorizedError:
            return False
        return Permission.COLLECT in token.permissions and token.may_enter(scope.sandbox)

    def _verify_anew(self, text: str) -> AccessToken:
        tokens.kid_of(text)
        now = self._clock.now()
        with unit_of_work(self._sessions) as session:
            keys = signing_keys.verifying(session, self._keyring, now=now)
            token = tokens.read(text, keys, org_id=self._org_id, now=now)
            if credentials.find_active(session, token.client_id) is None:
                raise UnauthorizedError("The client of this access token was revoked.")
        return token


def _narrowed(held: frozenset[Permission], wanted: list[str]) -> frozenset[Permission]:
    """Return what is asked for, and all that is held when nothing of ours is."""
    asked = requested(wanted)
    if not asked <= held:
        listed = ", ".join(sorted(asked - held))
        raise ForbiddenError(f"The client was not given {listed}.")
    return asked or held
