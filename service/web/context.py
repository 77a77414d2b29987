"""What a view may reach for: the services of the process, and who asks for which sandbox."""

from typing import Any, Protocol

from flask import current_app, g
from sqlalchemy.orm import Session

from service.access.tokens import AccessToken
from service.audit import entries
from service.audit.entries import NewAuditEntry
from service.catalog.datastream_book import DatastreamBook
from service.core.clock import Clock
from service.core.secret import Keyring
from service.db.session import SessionFactory
from service.flows.access_tokens import AccessTokens
from service.flows.delivery_steps import DeliveryTools
from service.outbound.actions import ActionBook
from service.outbound.endpoint_directory import EndpointDirectory
from service.sandboxes.scope import Scope
from service.settings import Settings

SERVICES = "services"
ACCESS_TOKENS = "access_tokens"


class WebServices(Protocol):
    """The part of ``bootstrap.Services`` that the admin API uses."""

    @property
    def settings(self) -> Settings:
        """What the operator set."""
        ...

    @property
    def clock(self) -> Clock:
        """The time."""
        ...

    @property
    def sessions(self) -> SessionFactory:
        """The store."""
        ...

    @property
    def keyring(self) -> Keyring:
        """The keys of stored secrets."""
        ...

    @property
    def datastreams(self) -> DatastreamBook:
        """Datastreams with their settings and the secrets of their login proofs."""
        ...

    @property
    def actions(self) -> ActionBook:
        """Custom actions and their secrets."""
        ...

    @property
    def endpoints(self) -> EndpointDirectory:
        """Capping configurations as they are deployed."""
        ...

    @property
    def delivery(self) -> DeliveryTools:
        """What test requests are sent with."""
        ...


def services() -> WebServices:
    """Return the services that the application was made with."""
    made_with: WebServices = current_app.extensions[SERVICES]
    return made_with


def access_tokens() -> AccessTokens:
    """Return the issuer and verifier of this process."""
    of_process: AccessTokens = current_app.extensions[ACCESS_TOKENS]
    return of_process


def scope() -> Scope:
    """Return the sandbox of this request, which its caller may enter."""
    entered: Scope = g.scope
    return entered


def caller() -> AccessToken:
    """Return who asks."""
    token: AccessToken = g.caller
    return token


def request_id() -> str:
    """Return the id that the caller gave this request, or the one it was given here."""
    name: str = g.request_id
    return name


def record_change(session: Session, action: str, subject: object, **facts: Any) -> None:
    """Write an audit entry for a change of this request, in the change's own transaction.

    ``facts`` hold no secret: they are shown to everyone who may read the audit.
    """
    entry = NewAuditEntry(
        at=services().clock.now(),
        actor=caller().client_id,
        action=action,
        subject=str(subject),
        reason="requested",
        facts={"requestId": request_id(), **facts},
    )
    entries.record(session, scope(), [entry])
