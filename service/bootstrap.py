"""Settings in, collaborators out: the one place where concrete things are chosen."""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import uuid4

from service.catalog.datastream_book import DatastreamBook
from service.core.clock import Clock, SystemClock
from service.core.secret import Keyring
from service.db.engine import open_engine
from service.db.session import SessionFactory
from service.flows.committer import Committer
from service.flows.delivery_steps import DeliveryTools
from service.flows.login_proofs import LoginProofs
from service.flows.sources import SourceDirectory
from service.flows.vendor_token_store import VendorTokenStore
from service.outbound.action_auth import ActionSecrets
from service.outbound.actions import ActionBook, ActionDirectory
from service.outbound.auth import VendorTokens
from service.outbound.dead_letters import DeadLetters
from service.outbound.egress import AddressGuard, system_resolver
from service.outbound.endpoint_directory import EndpointDirectory
from service.outbound.key_sets import WAIT_S, KeySets
from service.outbound.shared_tokens import SharedTokens
from service.outbound.store_clock import StoreWatch
from service.outbound.transport import Transport
from service.outbound.transport_curl import CurlTransport
from service.outbound.transport_form import ask_token, get_document
from service.settings import Settings

_FORM_S = 10.0


@dataclass(frozen=True, slots=True)
class Services:
    """What lives as long as the process. Flows and features take what they use, never this.

    ``watch`` notices when the store's clock is set.
    """

    settings: Settings
    clock: Clock
    sessions: SessionFactory
    keyring: Keyring
    sources: SourceDirectory
    login_proofs: LoginProofs
    committer: Committer
    datastreams: DatastreamBook
    actions: ActionBook
    endpoints: EndpointDirectory
    transport: Transport
    vendor_tokens: VendorTokens
    watch: StoreWatch

    @property
    def delivery(self) -> DeliveryTools:
        """What the admin API sends test requests with."""
        return delivery_tools(self)


def build_services(
    settings: Settings,
    *,
    clock: Clock | None = None,
    on_commit: Callable[[], None] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Services:
    """Open the store and build the collaborators of one process.

    ``on_commit`` runs after each commit of the committer, to wake whoever shares the process.
    ``environ`` is where ``env:NAME`` secrets are read, the process's own by default.

    Raises:
        SecretKeyError: A secret key is missing or malformed.
    """
    clock = clock or SystemClock()
    keyring = Keyring.of(settings.secret_keys)
    sessions = SessionFactory(open_engine(settings.database_url))
    guard = AddressGuard(settings.allow_private_hosts)
    ca_file = None if settings.ca_file is None else str(settings.ca_file)
    secrets = ActionSecrets(keyring, os.environ if environ is None else environ)
    return Services(
        settings=settings,
        clock=clock,
        sessions=sessions,
        keyring=keyring,
        sources=SourceDirectory(sessions, clock, keyring),
        login_proofs=LoginProofs(
            KeySets(partial(get_document, timeout=WAIT_S, guard=guard, ca_file=ca_file), clock),
        ),
        committer=Committer(sessions, clock, keyring, settings, on_commit=on_commit),
        datastreams=DatastreamBook(keyring, partial(guard.check_url, resolve=system_resolver)),
        actions=ActionBook(secrets, guard, system_resolver),
        endpoints=EndpointDirectory(
            clock,
            headroom_percent=settings.headroom_percent,
            slow_endpoint_rule=settings.slow_endpoint_rule,
        ),
        transport=CurlTransport(guard, ca_file=ca_file),
        vendor_tokens=VendorTokens(
            SharedTokens(VendorTokenStore(sessions, keyring), clock),
            partial(ask_token, timeout=_FORM_S, guard=guard, ca_file=ca_file),
            clock,
            keyring.fingerprint,
        ),
        watch=StoreWatch(clock),
    )


def delivery_tools(services: Services) -> DeliveryTools:
    """Return what this process delivers with, under a worker name that no other ever has."""
    return DeliveryTools(
        sessions=services.sessions,
        clock=services.clock,
        transport=services.transport,
        actions=ActionDirectory(services.actions, services.clock),
        endpoints=services.endpoints,
        tokens=services.vendor_tokens,
        letters=DeadLetters(services.keyring, timedelta(days=services.settings.dead_letter_days)),
        watch=services.watch,
        worker=f"{socket.gethostname()[:24]}:{os.getpid()}:{uuid4().hex[:8]}",
        life_percent=services.settings.permit_life_percent,
        sink_folder=services.settings.sink_folder,
    )
