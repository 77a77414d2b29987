"""Ports for servers that come back."""

import random
import socket

_BELOW_EPHEMERAL = range(20_000, 30_000)


def lasting_port() -> int:
    """Return a free port that no outgoing connection takes while its server is away.

    The system gives callers ports from 32768 on, so those below stay free between two starts.
    """
    for port in random.sample(_BELOW_EPHEMERAL, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")
