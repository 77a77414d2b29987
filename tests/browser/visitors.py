"""People on pages: a browser profile of their own, and the Web SDK as a page calls it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Error, Page

from tests.browser.front import Exchange, Front
from tests.support.admin_client import ORG

HOME = "https://www.shop.test/"
EDGE = "edge.shop.test"
IDENTITY_COOKIE = f"kndctr_{ORG.replace('@', '_')}_identity"
CONSENT_COOKIE = f"kndctr_{ORG.replace('@', '_')}_consent"
PAGE_VIEW = {"xdm": {"eventType": "web.webpagedetails.pageViews"}}
PATIENCE_S = 30
"""How long a loaded machine may take; what passes takes a moment."""
_IN_TIME = """([argument, patience]) => Promise.race([
  (%s)(argument),
  new Promise((_, reject) => setTimeout(() => reject(new Error("did not settle")), patience)),
])"""


@dataclass(slots=True)
class Visitor:
    """Somebody with a browser: cookies and storage that last from visit to visit.

    ``options`` are what the sites configure the Web SDK with.
    """

    context: BrowserContext
    options: dict[str, Any]
    front: Front
    _is_there: bool = field(default=False, init=False)

    def visit(self, url: str = HOME, **options: Any) -> "Tab":
        """Open a page whose Web SDK is configured; ``options`` add to the usual ones."""
        unused = () if self._is_there else self.context.pages
        self._is_there = True
        page = unused[0] if unused else self.context.new_page()
        tab = Tab(page, {**self.options, **options}, self.front)
        tab.load(url)
        return tab

    def cookies(self) -> dict[str, str]:
        """Return every cookie that the browser holds, of whatever site."""
        return {each["name"]: each["value"] for each in self.context.cookies()}

    def set_cookie(self, name: str, value: str) -> None:
        """Give the browser a cookie of the site, as its own server would."""
        self.context.add_cookies(
            [
                {
                    "name": name,
                    "value": value,
                    "domain": ".shop.test",
                    "path": "/",
                    "secure": True,
                    "sameSite": "Lax",
                }
            ]
        )

    def forget(self, name: str) -> None:
        """Take a cookie away, as people and their tools do."""
        self.context.clear_cookies(name=name)


@dataclass(slots=True)
class Tab:
    """One page at a time, and what its requests to edgepost were since it was opened."""

    page: Page
    options: dict[str, Any]
    front: Front
    _since: int = field(init=False)

    def __post_init__(self) -> None:
        """Count from here."""
        self._since = len(self.front.exchanges)

    def load(self, url: str) -> None:
        """Go to a page and configure its Web SDK, as the page itself would."""
        self.page.goto(url)
        self.alloy("configure", self.options)

    def alloy(self, command: str, options: Mapping[str, Any] | None = None) -> Any:
        """Return what a command resolves with; ``playwright.sync_api.Error`` when it rejects."""
        call = "([command, options]) => window.alloy(command, options)"
        return self.run(call, [command, options or {}])

    def run(self, function: str, argument: Any = None) -> Any:
        """Return what a function of the page's own script resolves with."""
        return self.page.evaluate(_IN_TIME % function, [argument, PATIENCE_S * 1000])

    def refusal(self, command: str, options: Mapping[str, Any]) -> str:
        """Return what a command rejects with; one that resolves fails the test."""
        try:
            answer = self.alloy(command, options)
        except Error as error:
            return error.message
        raise AssertionError(f"{command} resolved with {answer}")

    def ecid(self) -> str:
        """Return what ``getIdentity`` says."""
        return str(self.alloy("getIdentity")["identity"]["ECID"])

    def exchanges(self, action: str | None = None) -> list[Exchange]:
        """Return the requests to edgepost since the tab was opened, in the order of answers."""
        found = self.front.exchanges[self._since :]
        return [each for each in found if action in {None, each.action}]


def forget_everything(context: BrowserContext, origins: Sequence[str]) -> None:
    """Leave a browser profile with one blank page, as if nobody had ever used it."""
    page, *others = context.pages
    for each in others:
        each.close()
    page.goto("about:blank")
    context.clear_cookies()
    context.clear_permissions()
    tools = context.new_cdp_session(page)
    for origin in origins:
        everything = {"origin": origin, "storageTypes": "all"}
        tools.send("Storage.clearDataForOrigin", everything)
    tools.detach()
