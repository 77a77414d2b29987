"""The metadata that every table is registered in."""

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all rows; constraint names are fixed so that migrations agree on both engines."""

    metadata = MetaData(naming_convention=_CONVENTION)
