"""Web push: the subscription of a page, and what the service worker tells of a notification.

No push service is asked: the page's ``PushManager`` gives a subscription that is made up, and the
browser's own tools deliver the message. The Web SDK and its service worker are as published.
"""

import json
from contextlib import suppress
from typing import Any

from playwright.sync_api import Page

from service.outbound.adapters.web_push import WebPushAdapter
from tests.browser.conftest import Shop
from tests.browser.front import Exchange
from tests.browser.stored import key_of
from tests.browser.visitors import HOME, PAGE_VIEW, PATIENCE_S, Tab, Visitor
from tests.e2e.patience import eventually
from tests.support.messages import NOW, action_for, browser, message_by

ORIGIN = HOME.rstrip("/")
APP = "shop-web"
_SUBSCRIBES = """() => {
  const bytes = length => Uint8Array.from({length}, (_, index) => index).buffer;
  window.subscription = "first";
  PushManager.prototype.subscribe = async () => ({
    endpoint: "https://push.shop.test/send/" + window.subscription,
    getKey: name => bytes(name === "auth" ? 16 : 65),
  });
}"""
_REGISTERS = """async () => {
  await navigator.serviceWorker.register("/alloyServiceWorker.min.js");
  await navigator.serviceWorker.ready;
}"""
_SHOWN = """async () => {
  const registration = await navigator.serviceWorker.getRegistration();
  const shown = await registration.getNotifications();
  return shown.map(({title, body}) => ({title, body}));
}"""
_HAPPENS = """async ([type, action]) => {
  const [notification] = await self.registration.getNotifications();
  self.dispatchEvent(new NotificationEvent(type, {notification, action}));
}"""
EXECUTION = {"messageExecutionID": "camp-12", "messageID": "m-998"}
MESSAGE = {
    "web": {
        "title": "Your order shipped",
        "body": "Tap to follow",
        "actions": {"buttons": [{"label": "Track", "type": "OPENAPP"}]},
        "interaction": {"type": "OPENAPP"},
        "_xdm": {
            "mixins": {
                "_experience": {"customerJourneyManagement": {"messageExecution": EXECUTION}}
            }
        },
    }
}


def subscriber(shop: Shop) -> Visitor:
    """Return somebody who allows notifications on a site that uses web push."""
    visitor = shop.visitor(
        own_profile=True,
        pushNotifications={
            "vapidPublicKey": "B" + "A" * 86,
            "appId": APP,
            "trackingDatasetId": shop.datastream["eventDatasetId"],
        },
    )
    visitor.context.grant_permissions(["notifications"], origin=ORIGIN)
    return visitor


def subscribed(visitor: Visitor) -> Tab:
    """Open the site, say who is there and subscribe."""
    tab = visitor.visit()
    tab.run(_SUBSCRIBES)
    tab.run(_REGISTERS)
    tab.alloy("sendEvent", PAGE_VIEW)
    tab.alloy("sendPushSubscription")
    return tab


def test_a_subscription_is_the_visitors_push_token(shop: Shop) -> None:
    tab = subscribed(subscriber(shop))

    ecid = tab.ecid()
    details = tab.exchanges("v1/interact")[-1].events[0]["data"]["pushNotificationDetails"][0]
    (token,) = shop.profile(ecid)["pushTokens"]
    assert json.loads(details["token"])["endpoint"] == "https://push.shop.test/send/first"
    assert (token["platform"], token["appId"], token["owned"]) == ("web", APP, True)
    assert token["token"].startswith("https://push.shop.test/")
    assert [each["identity"]["id"] for each in token["owners"]] == [ecid]


def test_the_same_subscription_is_sent_once_and_a_new_one_replaces_it(shop: Shop) -> None:
    tab = subscribed(subscriber(shop))
    sent = len(tab.exchanges())

    tab.alloy("sendPushSubscription")
    unchanged = len(tab.exchanges())
    tab.run("() => { window.subscription = 'second' }")
    tab.alloy("sendPushSubscription")

    tokens = shop.profile(tab.ecid())["pushTokens"]
    assert unchanged == sent
    assert len(tab.exchanges()) == sent + 1
    assert sorted(each["owned"] for each in tokens) == [False, True]


def test_a_click_on_a_notification_is_an_opened_message(shop: Shop) -> None:
    visitor = subscriber(shop)
    tab = subscribed(visitor)
    shown = deliver(visitor, tab)

    happens(visitor, "notificationclick")

    tracked = told(shop, tab)
    assert shown == [{"title": "Your order shipped", "body": "Tap to follow"}]
    assert tracked["eventType"] == "pushTracking.applicationOpened"
    assert tracked["application"] == {"launches": {"value": 1}}
    assert tracked["pushNotificationTracking"]["pushProvider"] == "chrome"


def test_a_click_on_a_button_is_its_own_action(shop: Shop) -> None:
    visitor = subscriber(shop)
    tab = subscribed(visitor)
    deliver(visitor, tab)

    happens(visitor, "notificationclick", "action_0")

    tracked = told(shop, tab)
    assert tracked["eventType"] == "pushTracking.customAction"
    assert tracked["pushNotificationTracking"]["customAction"] == {"actionID": "Track"}


def test_a_closed_notification_is_a_dismissed_message(shop: Shop) -> None:
    visitor = subscriber(shop)
    tab = subscribed(visitor)
    deliver(visitor, tab)

    happens(visitor, "notificationclose")

    tracked = told(shop, tab)
    assert tracked["eventType"] == "pushTracking.customAction"
    assert tracked["pushNotificationTracking"]["customAction"] == {"actionID": "Dismiss"}
    assert tracked["application"] == {"launches": {"value": 0}}


def test_a_click_on_what_the_adapter_sends_names_its_delivery(shop: Shop) -> None:
    visitor = subscriber(shop)
    tab = subscribed(visitor)
    context = message_by("webPush")
    payload = {"title": "Hi {{ profile.name }}", "interaction": {"type": "OPENAPP"}}
    sent = WebPushAdapter().render(action_for("webPush", payload=payload), context, now=NOW)
    shown = deliver(visitor, tab, browser().read(sent.body))

    happens(visitor, "notificationclick")

    execution = {
        "messageExecutionID": f"{context.journey_version_id}:{context.node_id}",
        "messageID": str(context.delivery_id),
        "journeyVersionID": str(context.journey_version_id),
        "journeyVersionInstanceID": str(context.instance_id),
    }
    tracked = told(shop, tab, execution)
    assert [each["title"] for each in shown] == ["Hi Ann"]
    assert tracked["eventType"] == "pushTracking.applicationOpened"


def deliver(visitor: Visitor, tab: Tab, pushed: Any = MESSAGE) -> Any:
    """Push a message to the site's service worker and return the notifications that it shows."""
    tools = visitor.context.new_cdp_session(tab.page)
    registrations: list[str] = []
    tools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda update: registrations.extend(
            each["registrationId"] for each in update["registrations"] if not each["isDeleted"]
        ),
    )
    tools.send("ServiceWorker.enable")
    eventually(
        lambda: pumped(tab.page, registrations), within_s=PATIENCE_S, what="the registration"
    )
    message = {
        "origin": ORIGIN,
        "registrationId": registrations[-1],
        "data": json.dumps(pushed),
    }

    def shown() -> Any:
        """Deliver, and again if nothing was shown for long: the tool does not say what it lost."""
        tools.send("ServiceWorker.deliverPushMessage", message)
        with suppress(AssertionError):
            return eventually(lambda: tab.run(_SHOWN), within_s=PATIENCE_S / 3, what="a try")
        return None

    return eventually(shown, within_s=PATIENCE_S, what="a notification")


def pumped(page: Page, found: list[str]) -> list[str]:
    """Let the browser's messages in and return what they have brought."""
    page.evaluate("1")
    return found


def happens(visitor: Visitor, what: str, action: str = "") -> None:
    """Let the person do something with the notification that is shown."""
    (worker,) = visitor.context.service_workers
    worker.evaluate(_HAPPENS, [what, action])


def told(shop: Shop, tab: Tab, execution: Any = EXECUTION) -> dict[str, Any]:
    """Return the XDM of the event that the service worker sends, once it is kept."""
    sent = eventually(lambda: trackings(tab), within_s=PATIENCE_S, what="a tracking request")[0]
    event = shop.events()[-1]
    xdm: dict[str, Any] = event.xdm
    journey = xdm["_experience"]["customerJourneyManagement"]
    assert (sent.status, sent.cookies) == (200, {})
    assert journey["messageExecution"] == execution
    assert journey["pushChannelContext"] == {"platform": "web"}
    assert event.identity_id == key_of("ECID", tab.ecid())
    assert str(event.dataset_id) == shop.datastream["eventDatasetId"]
    return xdm


def trackings(tab: Tab) -> list[Exchange]:
    """Return the requests that tell what happened to a notification."""
    return [
        each
        for each in tab.exchanges("v1/interact")
        if "pushNotificationTracking" in each.events[0].get("xdm", {})
    ]
