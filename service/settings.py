"""What an operator sets, read once from the environment by the entry points."""

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from environs import Env, EnvError

from service.core.errors import EdgepostError
from service.core.secret import new_secret_key

_IpNetwork = IPv4Network | IPv6Network


class SettingsError(EdgepostError):
    """A setting is missing or malformed; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its default; the variable is ``EDGEPOST_`` and the name in capitals.

    Attributes:
        database_url: ``DATABASE_URL``; ``postgres://`` and ``postgresql://`` mean psycopg 3.
        secret_keys: Fernet keys, newest first; the first encrypts.
        org_id: The organisation that admin requests name in ``x-gw-ims-org-id``.
        port: ``PORT``; where the web process listens.
        web_concurrency: ``WEB_CONCURRENCY``; server processes of ``edgepost web``.
        request_threads: Threads per web process; batches cannot form under 64.
        batch_events: The most events that one commit takes.
        queue_events: Waiting events after which a request is answered 503.
        answer_within_s: Seconds after which a waiting request gives up with 503.
        max_body_bytes: The largest body of an Edge request.
        access_token_s: Life of an access token in seconds.
        allow_private_hosts: Networks that outbound calls may reach although they are private.
        headroom_percent: How much of every cap is left unused.
        permit_life_percent: Life of a granted permit as a share of its cap's period, in percent.
        log_level: The least severe level that is logged.
        ready_lag_s: Age of the oldest due work at which ``/readyz`` turns red.
    """

    database_url: str
    secret_keys: tuple[str, ...] = field(repr=False)
    org_id: str = "EDGEPOST@AdobeOrg"
    host: str = "127.0.0.1"
    port: int = 8080
    web_concurrency: int = 2
    request_threads: int = 64
    batch_events: int = 64
    queue_events: int = 4096
    answer_within_s: float = 3.0
    max_body_bytes: int = 65536
    access_token_s: int = 3600
    allow_private_hosts: tuple[_IpNetwork, ...] = ()
    headroom_percent: float = 0.0
    permit_life_percent: float = 2.0
    log_level: str = "INFO"
    ready_lag_s: int = 300

    @property
    def is_embedded(self) -> bool:
        """Whether the store is SQLite, which only ``edgepost run`` may use."""
        return self.database_url.startswith("sqlite")

    def allowing(self, hosts: str) -> "Settings":
        """Return the same settings that let calls reach these networks, comma-separated.

        Raises:
            SettingsError: One of them is not a network.
        """
        try:
            networks = tuple(ip_network(each.strip()) for each in hosts.split(",") if each.strip())
        except ValueError as error:
            raise SettingsError(f"EDGEPOST_ALLOW_PRIVATE_HOSTS: {error}") from error
        return replace(self, allow_private_hosts=networks)


def normal_database_url(url: str) -> str:
    """Return ``url`` as SQLAlchemy wants it: psycopg 3 for every PostgreSQL spelling."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def embedded_settings(folder: Path, **changes: object) -> Settings:
    """Return the settings of ``edgepost run``: one SQLite file, its key beside it.

    The key is made at the first start and readable by its owner only. Losing it loses every
    stored secret, so a backup takes both files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key_file = folder / "secret.key"
    if not key_file.exists():
        key_file.touch(mode=0o600)
        key_file.write_text(new_secret_key() + "\n")
    defaults = Settings(
        database_url=f"sqlite:///{folder / 'edgepost.db'}",
        secret_keys=tuple(key_file.read_text().split()),
        request_threads=16,
        web_concurrency=1,
    )
    return replace(defaults, **changes)  # type: ignore[arg-type]


def read_settings() -> Settings:
    """Return the settings of a platform deployment.

    Raises:
        SettingsError: ``DATABASE_URL`` or ``EDGEPOST_SECRET_KEYS`` is missing, or a value
            cannot be read; the message names the variable.
    """
    env = Env()
    try:
        url = env.str("DATABASE_URL")
        with env.prefixed("EDGEPOST_"):
            keys: tuple[str, ...] = tuple(env.list("SECRET_KEYS"))
            hosts: list[str] = env.list("ALLOW_PRIVATE_HOSTS", [])
            networks = tuple(ip_network(each) for each in hosts)
            optional = _optional(env)
        return Settings(
            database_url=normal_database_url(url),
            secret_keys=keys,
            port=env.int("PORT", 8080),
            host=env.str("HOST", "0.0.0.0"),  # noqa: S104 - a platform routes to every address
            web_concurrency=env.int("WEB_CONCURRENCY", 2),
            allow_private_hosts=networks,
            **optional,  # type: ignore[arg-type]
        )
    except (EnvError, ValueError) as error:
        raise SettingsError(f"Set it and start again: {error}") from error


def _optional(env: Env) -> dict[str, object]:
    return {
        "org_id": env.str("ORG_ID", "EDGEPOST@AdobeOrg"),
        "request_threads": env.int("REQUEST_THREADS", 64),
        "batch_events": env.int("BATCH_EVENTS", 64),
        "queue_events": env.int("QUEUE_EVENTS", 4096),
        "answer_within_s": env.float("ANSWER_WITHIN_S", 3.0),
        "access_token_s": env.int("ACCESS_TOKEN_S", 3600),
        "headroom_percent": env.float("HEADROOM_PERCENT", 0.0),
        "permit_life_percent": env.float("PERMIT_LIFE_PERCENT", 2.0),
        "log_level": env.str("LOG_LEVEL", "INFO"),
        "ready_lag_s": env.int("READY_LAG_S", 300),
    }
