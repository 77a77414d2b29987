"""The floor: a bare Flask route that does one INSERT and COMMIT."""

import os

from flask import Flask, request
from psycopg.types.json import Json
from psycopg_pool import ConnectionPool

_URL = os.environ["DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://")


def application() -> Flask:
    """Return the application of one server process."""
    app = Flask(__name__)
    pool = ConnectionPool(_URL, min_size=4, max_size=16, open=True)

    @app.post("/ee/v1/interact")
    def insert() -> dict[str, str]:
        with pool.connection() as connection:
            connection.execute(
                "INSERT INTO floor (body) VALUES (%s)",
                (Json(request.get_json()),),
            )
        return {"requestId": request.args["requestId"]}

    return app
