"""``edgepost web``."""

import math

import click
from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from service.cli.open_files import allow_many_files
from service.cli.platform import platform_settings, refuse_unready
from service.cli.ports import refuse_taken_port

# A router in front keeps connections for 90 s; the server must not close them first.
_KEEP_ALIVE_MS = 100_000
# Each has a thread when it sends: a slow one keeps only its own, and no request waits behind it.
_CONNECTIONS = 1024
# Beyond the longest wait for a commit; a slow sender would hold the stop up for ever.
_STOP_MARGIN_S = 2


@click.command()
def web() -> None:
    """Answer HTTP on PORT, with WEB_CONCURRENCY server processes."""
    settings = platform_settings()
    refuse_taken_port(settings.host, settings.port, "PORT")
    refuse_unready(settings)
    allow_many_files()
    Granian(
        "service.web.main:application",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.web_concurrency,
        backpressure=_CONNECTIONS,
        blocking_threads=_CONNECTIONS,
        workers_kill_timeout=math.ceil(settings.answer_within_s) + _STOP_MARGIN_S,
        websockets=False,
        factory=True,
        http1_settings=HTTP1Settings(header_read_timeout=_KEEP_ALIVE_MS),
        log_level=LogLevels(settings.log_level.lower()),
    ).serve()
