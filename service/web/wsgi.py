"""The one WSGI application of the web process: two hot paths in front of Flask."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from service.web.collection.application import CollectionApplication
from service.web.edge.application import EdgeApplication


class Application:
    """Sends SDKs and streams to their own applications and everyone else to the admin API."""

    def __init__(
        self,
        edge: EdgeApplication,
        collection: CollectionApplication,
        admin: WSGIApplication,
    ) -> None:
        self._edge = edge
        self._collection = collection
        self._admin = admin

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        if self._edge.matches(path):
            return self._edge(environ, start_response)
        if self._collection.matches(path):
            return self._collection(environ, start_response)
        return self._admin(environ, start_response)
