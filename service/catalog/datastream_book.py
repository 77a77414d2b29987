"""Saves datastreams with their settings; holds what that needs: the keyring and the URL check."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy.orm import Session

from service.catalog import datastreams
from service.catalog.datastream_settings import (
    DEFAULTS,
    DatastreamSettings,
    SettingsChanges,
    changed,
    check_login_proof,
    read_settings,
)
from service.catalog.datastreams import DatastreamChanges, NewDatastream
from service.catalog.models import Datastream
from service.core.errors import InvalidInputError
from service.core.secret import Keyring
from service.sandboxes.scope import Scope

CheckUrl: TypeAlias = Callable[[str], None]
"""Raises ``InvalidInputError`` for an address that may not be called."""


class DatastreamBook:
    """Creates and changes datastreams; a secret goes in as clear text and is kept encrypted."""

    def __init__(self, keyring: Keyring, check_url: CheckUrl) -> None:
        self._keyring = keyring
        self._check_url = check_url

    def create(
        self,
        session: Session,
        scope: Scope,
        new: NewDatastream,
        written: SettingsChanges,
        *,
        now: datetime,
    ) -> Datastream:
        """Create a datastream with its system datasets. The caller commits.

        Raises:
            ConflictError: The name is taken in this sandbox.
            InvalidInputError: A setting cannot be used.
        """
        row = datastreams.create(session, scope, new, now=now)
        self._settle(session, scope, row, DEFAULTS, written)
        return row

    def update(
        self,
        session: Session,
        scope: Scope,
        datastream_id: UUID,
        changes: DatastreamChanges,
        written: SettingsChanges,
        *,
        now: datetime,
    ) -> Datastream:
        """Change a datastream; running processes follow within five seconds. The caller commits.

        Settings that are not written stay, those of ``login_proof`` one by one, and so does its
        secret.

        Raises:
            NotFoundError: The sandbox has no such datastream.
            ConflictError: The new name is taken.
            InvalidInputError: A setting cannot be used, alone or beside those that stay.
        """
        row = datastreams.lock(session, scope, datastream_id)
        datastreams.update(session, scope, datastream_id, changes, now=now)
        if written:
            self._settle(session, scope, row, read_settings(row.settings), written)
        return row

    def _settle(
        self,
        session: Session,
        scope: Scope,
        row: Datastream,
        before: DatastreamSettings,
        written: SettingsChanges,
    ) -> None:
        proof = written.get("login_proof", {})
        settings = changed(before, written)
        login_key = row.login_key
        if "secret" in proof:
            secret = proof["secret"]
            login_key = None if secret is None else self._keyring.encrypt(secret)
        url = proof.get("jwks_url")
        if url is not None:
            self._check_key_set_url(url)
        check_login_proof(settings.login_proof, has_secret=login_key is not None)
        datastreams.keep_settings(session, scope, row, settings, login_key)

    def _check_key_set_url(self, url: str) -> None:
        at = "loginProof.jwksUrl"
        try:
            self._check_url(url)
        except InvalidInputError as error:
            raise InvalidInputError(
                f"{at}: {error.detail}", **{**error.fields, "at": at}
            ) from error
        if urlsplit(url).scheme != "https":
            raise InvalidInputError(
                f"{at} must start with https://: whoever could change the keys on their way here "
                "could sign anybody's login.",
                at=at,
            )
