"""Mobile properties over a store: what an app downloads its configuration by."""

from service.catalog import datastreams, mobile_properties
from service.catalog.datastreams import NewDatastream, Platform
from service.catalog.mobile_properties import NewMobileProperty
from service.catalog.mobile_settings import Environment
from service.catalog.models import Datastream, MobileProperty
from service.db.session import SessionFactory, unit_of_work
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock

ORG = "EDGEPOST@AdobeOrg"
EDGE_DOMAIN = "edge.example.com"


def publish(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
    *environments: Environment,
) -> tuple[MobileProperty, Datastream]:
    """Create a property with its datastream; without environments named, it serves production."""
    with unit_of_work(store) as session:
        stream = datastreams.create(
            session, scope, NewDatastream("app", Platform.MOBILE, ORG), now=clock.now()
        )
        served = environments or (Environment.PRODUCTION,)
        new = NewMobileProperty(
            "Shop",
            {each: {"datastream_id": stream.id, "edge_domain": EDGE_DOMAIN} for each in served},
        )
        return mobile_properties.create(session, scope, new, now=clock.now()), stream
