"""How a destination is reached: straight, through a proxy, with a client certificate.

Source: Journey Optimizer, external systems (mutual TLS, egress proxy).
"""

from dataclasses import dataclass

from service.core.secret import Secret


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate chain in PEM and its private key, for endpoints that ask who calls."""

    chain: str
    private_key: Secret


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """How the calls of an action connect.

    Attributes:
        proxy: An ``http://`` or ``https://`` proxy with its credentials, for a static address.
        certificate: What the client shows when TLS asks for it.
    """

    proxy: Secret | None = None
    certificate: ClientCertificate | None = None


DIRECT = ConnectionSpec()
