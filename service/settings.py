"""What an operator sets, read once from the environment by the entry points."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from environs import Env, EnvError, validate

from service.core.errors import EdgepostError
from service.core.secret import Keyring, SecretKeyError, new_secret_key

EMBEDDED_HOST = "127.0.0.1"
STORE_FILE = "edgepost.db"
KEY_FILE = "secret.key"
LOCK_FILE = "running.lock"
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# What may lie in a folder that is ours alone; `demo` is where the demo keeps its own.
_OWN_FILES = frozenset(
    {
        *(KEY_FILE, LOCK_FILE, "demo"),
        *(STORE_FILE + end for end in ("", "-wal", "-shm", ".migrating")),
    },
)
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
        request_threads: Requests that one process answers at a time; under 64 no batches form.
        batch_events: The most events that one commit takes.
        queue_events: Waiting events after which a request is answered 503.
        answer_within_s: Seconds after which a waiting request gives up with 503.
        max_body_bytes: The largest body of an Edge request.
        access_token_s: Life of an access token in seconds.
        allow_private_hosts: Networks that outbound calls may reach although they are private.
        headroom_percent: How much of every cap is left unused.
        permit_life_percent: Life of a granted permit as a share of its cap's period, in percent.
        sink_folder: Below which actions may write files; ``None``: nowhere.
        slow_endpoint_rule: Whether a host that answers late has a second built-in cap.
        ca_file: Certificates that outbound calls trust in place of the usual authorities.
        log_level: The least severe level that is logged.
        ready_lag_s: Age of the oldest due work at which ``/readyz`` turns red.
        key_file: Where the embedded service's keys came from; ``None``: ``EDGEPOST_SECRET_KEYS``.
    """

    database_url: str
    secret_keys: tuple[str, ...] = field(repr=False)
    org_id: str = "EDGEPOST@AdobeOrg"
    host: str = EMBEDDED_HOST
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
    slow_endpoint_rule: bool = False
    sink_folder: Path | None = None
    ca_file: Path | None = None
    log_level: str = "INFO"
    ready_lag_s: int = 300
    dead_letter_days: int = 7
    key_file: Path | None = None

    @property
    def is_embedded(self) -> bool:
        """Whether the store is SQLite, which only ``edgepost run`` may use."""
        return self.database_url.startswith("sqlite")

    def allowing(self, hosts: str) -> "Settings":
        """Return the same settings that let calls reach these networks, comma-separated.

        Raises:
            SettingsError: One of them is not a network.
        """
        return replace(self, allow_private_hosts=_networks(hosts))


def normal_database_url(url: str) -> str:
    """Return ``url`` as SQLAlchemy wants it: psycopg 3 for every PostgreSQL spelling."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def has_store(folder: Path) -> bool:
    """Tell whether the embedded service has kept anything in a folder."""
    with _usable(folder):
        file = folder / STORE_FILE
        return file.exists() and file.stat().st_size > 0


def embedded_settings(folder: Path, *, makes: bool = False) -> Settings:
    """Return the settings of ``edgepost run``: one SQLite file, its key beside it.

    With ``makes`` the folder is there afterwards, and a key beside a store that is still to come;
    both are for their owner only. Losing the key loses every stored secret, so a backup takes both
    files. Nothing is written otherwise.

    Raises:
        SettingsError: A variable cannot be read, the key of a store is lost or damaged, or the
            folder cannot be used.
    """
    env = Env()
    with _readable():
        common = _common(env, request_threads=16)
    with _usable(folder):
        if makes:
            _make_private(folder)
            if not has_store(folder):
                _make_key(folder / KEY_FILE)
        keys, key_file = _keys_of(folder, env)
    return Settings(
        database_url=f"sqlite:///{folder / STORE_FILE}",
        secret_keys=keys,
        key_file=key_file,
        web_concurrency=1,
        **common,  # type: ignore[arg-type]
    )


def read_settings() -> Settings:
    """Return the settings of a platform deployment.

    Raises:
        SettingsError: ``DATABASE_URL`` or ``EDGEPOST_SECRET_KEYS`` is missing, or a value
            cannot be read; the message names the variable.
    """
    env = Env()
    with _readable():
        return Settings(
            database_url=normal_database_url(env.str("DATABASE_URL")),
            secret_keys=tuple(env.list("EDGEPOST_SECRET_KEYS")),
            port=env.int("PORT", 8080, validate=validate.Range(1, 65535)),
            host=env.str("HOST", "0.0.0.0"),  # noqa: S104 - a platform routes to every address
            web_concurrency=env.int("WEB_CONCURRENCY", 2, validate=validate.Range(1)),
            **_common(env, request_threads=64),  # type: ignore[arg-type]
        )


def _common(env: Env, *, request_threads: int) -> dict[str, object]:
    """Return what both ways to run read from the environment."""
    some, positive = validate.Range(1), validate.Range(0, min_inclusive=False)
    share = validate.Range(0, 100, max_inclusive=False)
    with env.prefixed("EDGEPOST_"):
        return {
            "org_id": env.str("ORG_ID", "EDGEPOST@AdobeOrg"),
            "request_threads": env.int("REQUEST_THREADS", request_threads, validate=some),
            "batch_events": env.int("BATCH_EVENTS", 64, validate=some),
            "queue_events": env.int("QUEUE_EVENTS", 4096, validate=some),
            "answer_within_s": env.float("ANSWER_WITHIN_S", 3.0, validate=positive),
            "access_token_s": env.int("ACCESS_TOKEN_S", 3600, validate=some),
            "allow_private_hosts": _networks(env.str("ALLOW_PRIVATE_HOSTS", "")),
            "headroom_percent": env.float("HEADROOM_PERCENT", 0.0, validate=share),
            "permit_life_percent": env.float("PERMIT_LIFE_PERCENT", 2.0, validate=share),
            "slow_endpoint_rule": env.bool("SLOW_ENDPOINT_RULE", default=False),
            "sink_folder": _folder(env.str("SINK_FOLDER", "")),
            "ca_file": _ca_file(env.str("CA_FILE", "")),
            "log_level": _log_level(env.str("LOG_LEVEL", "INFO")),
            "ready_lag_s": env.int("READY_LAG_S", 300, validate=some),
            "dead_letter_days": env.int("DEAD_LETTER_DAYS", 7, validate=validate.Range(1, 365)),
        }


def _networks(text: str) -> tuple[_IpNetwork, ...]:
    try:
        return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())
    except ValueError as error:
        raise SettingsError(f"EDGEPOST_ALLOW_PRIVATE_HOSTS: {error}.") from error


def _folder(text: str) -> Path | None:
    folder = Path(text)
    if text and not (folder.is_absolute() and folder.is_dir()):
        raise SettingsError(f"EDGEPOST_SINK_FOLDER is {text!r}: name a folder by its whole path.")
    return folder if text else None


def _ca_file(text: str) -> Path | None:
    file = Path(text)
    if text and not file.is_file():
        raise SettingsError(f"EDGEPOST_CA_FILE is {text!r}: name a file of certificates in PEM.")
    return file if text else None


def _log_level(text: str) -> str:
    level = text.strip().upper()
    if level not in _LOG_LEVELS:
        raise SettingsError(f"EDGEPOST_LOG_LEVEL is {text!r}: set one of {', '.join(_LOG_LEVELS)}.")
    return level


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except EnvError as error:
        raise SettingsError(f"Set it and start again: {error}") from error


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = f"{error.strerror} ({error.filename})"
        raise SettingsError(f"The folder {folder} cannot be used: {why}.") from error


def _make_private(folder: Path) -> None:
    """Make a folder for its owner only; one that holds other files too stays as it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if {each.name for each in folder.iterdir()} <= _OWN_FILES:
        with suppress(PermissionError):
            folder.chmod(0o700)


def _make_key(file: Path) -> None:
    """Make the key unless it is there; it is on the disk before a secret needs it."""
    if file.exists() and file.stat().st_size > 0:
        return
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as key:
        key.write(new_secret_key() + "\n")
        key.flush()
        os.fsync(key.fileno())


def _keys_of(folder: Path, env: Env) -> tuple[tuple[str, ...], Path | None]:
    """Return a folder's keys and the file they lie in; the variable stands in for a lost one."""
    file = folder / KEY_FILE
    keys = tuple(file.read_text(errors="replace").split()) if file.exists() else ()
    if not keys:
        with _readable():
            keys = tuple(filter(None, env.list("EDGEPOST_SECRET_KEYS", [])))
        if not keys:
            raise SettingsError(
                f"{file} is lost, the key of the secrets in {folder / STORE_FILE}: restore that "
                "file from the backup, or set EDGEPOST_SECRET_KEYS to the key that it held.",
            )
        return keys, None
    try:
        Keyring.of(keys)
    except SecretKeyError as error:
        raise SettingsError(f"{file} is damaged: restore it from the backup.") from error
    return keys, file
