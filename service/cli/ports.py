"""Whether a port is free, asked before anything is started."""

import socket
from errno import EADDRINUSE

from service.core.errors import EdgepostError


def refuse_taken_port(host: str, port: int, instead: str) -> None:
    """Return when ``port`` can be listened on; ``instead`` says how to choose another one.

    Raises:
        EdgepostError: It cannot be, and why.
    """
    place = f"port {port} of {host}"
    try:
        ((family, kind, protocol, _, address), *_) = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with socket.socket(family, kind, protocol) as probe:
            # As servers do it: what an ended process left in TIME_WAIT is no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == EADDRINUSE:
            why = f"Another process listens on {place}: end it, or choose another port"
            raise EdgepostError(f"{why} with {instead}.") from error
        raise EdgepostError(f"Nothing can listen on {place}: {error.strerror}.") from error
