"""A store whose connections can be cut."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from service.core.errors import StoreUnavailableError
from service.db.session import SessionFactory


class AwayStore(SessionFactory):
    """Another way into a store; while ``is_away`` nothing can be opened."""

    def __init__(self, store: SessionFactory) -> None:
        super().__init__(store.engine)
        self.is_away = False

    @contextmanager
    def opened(self) -> Iterator[Session]:
        """Yield a session, unless the store is away."""
        if self.is_away:
            raise StoreUnavailableError("away")
        with super().opened() as session:
            yield session
