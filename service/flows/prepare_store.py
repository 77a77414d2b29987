"""What must be true of a store before any process uses it."""

from service.core.clock import SystemClock
from service.core.secret import Keyring
from service.db.migrations import migrate
from service.db.session import SessionFactory, unit_of_work
from service.flows import rotate_secrets
from service.flows.open_sandbox import ensure_default_sandbox


def prepare_store(sessions: SessionFactory, keyring: Keyring) -> None:
    """Apply missing migrations, open ``prod`` and make sure that every secret can be read.

    Several processes may call it at once.

    Raises:
        SecretKeyError: A stored secret needs a key that is not configured; the message names it.
    """
    migrate(sessions.engine)
    ensure_default_sandbox(sessions, now=SystemClock().now())
    with unit_of_work(sessions) as session:
        rotate_secrets.check_keys(session, keyring)
