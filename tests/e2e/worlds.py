"""What stands in a deployment before the phones come."""

from dataclasses import dataclass

import requests

from mobile_stub.edge_client import Edge
from service.access import credentials
from service.access.credentials import NewCredential
from service.access.permissions import ALL_SANDBOXES, Permission
from service.core.clock import SystemClock
from service.db.engine import open_engine
from service.db.session import SessionFactory, unit_of_work
from tests.support.admin_client import ORG, AdminClient
from tests.support.deployments import Deployment, Web


@dataclass(frozen=True, slots=True)
class World:
    """A mobile datastream, and the way to everything else.

    ``headers`` are what an admin request needs, for a test that looks at bare answers.
    """

    admin: AdminClient
    headers: dict[str, str]
    datastream: str

    def create_segment(self, name: str, rule: str, *, evaluation: str) -> str:
        """Create a segment, ``continuous`` or ``batch``, and return its id."""
        definition = {
            "name": name,
            "expression": {"type": "PQL", "format": "pql/text", "value": rule},
            "evaluationInfo": {evaluation: {"enabled": True}},
            "schema": {"name": "_xdm.context.profile"},
        }
        return str(self.admin.post("/data/core/ups/segment/definitions", definition)["id"])

    def edge(self, web: Web) -> Edge:
        """Return where phones send, behind one of the web processes."""
        return Edge(web.url, self.datastream)


def prepare(deployment: Deployment, web: Web) -> World:
    """Create a credential and a mobile datastream."""
    client_id, secret = _new_client(deployment.database_url)
    admin = AdminClient(web.url, client_id, secret)
    datastream = admin.post("/datastreams", {"name": "phones", "platform": "mobile"})["id"]
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret,
    }
    token = requests.post(f"{web.url}/ims/token/v3", data=form, timeout=30).json()["access_token"]
    headers = {
        "Authorization": f"Bearer {token}",
        "x-api-key": client_id,
        "x-gw-ims-org-id": ORG,
    }
    return World(admin, headers, datastream)


def _new_client(database_url: str) -> tuple[str, str]:
    """Do what ``edgepost credentials create`` does, without the time that a process takes."""
    engine = open_engine(database_url, pool_size=1)
    new = NewCredential("e2e", tuple(Permission), (ALL_SANDBOXES,))
    with unit_of_work(SessionFactory(engine)) as session:
        made, secret = credentials.create(session, new, now=SystemClock().now())
    engine.dispose()
    return made.client_id, secret.reveal()
