"""Every code of the Edge Network's errors: what brings it about here, or why nothing does."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from service.access.permissions import ALL_SANDBOXES, Permission
from service.access.tokens import AccessToken, ExpiredTokenError
from service.core.errors import RefusedDataError, StoreUnavailableError, UnauthorizedError
from service.flows.sources import Disabled
from service.profiles.incoming import Kept
from service.web.edge import errors
from tests.support.clocks import START
from tests.support.edge_documents import mobile, web
from tests.support.edge_world import PAGE, World, consent_body
from tests.support.wire import (
    MOBILE_ID,
    WEB_ID,
    WRONG_PLATFORM,
    Reply,
    datastream,
    edge_query,
)

PAGE_OF_CODES = Path(errors.__file__).parents[2] / "decisions" / "0017-error-codes.md"
# Source: Edge Network API, "Troubleshooting and error codes"
DOCUMENTED = frozenset(
    re.findall(
        r"\S+",
        """
    0000-503 0001-500 0002-400 0003-400 0004-422 0010-422 0011-422 0012-422 0013-422
    0100-500 0101-400 0102-400 0103-400 0104-422 0105-400 0106-400 0107-400 0108-400
    0109-408 0110-400 0111-415 0112-413 0113-400
    0200-504 0201-503 0202-502 0203-502 0204-200 0205-502
    0300-502 0301-200 0302-409 0303-200 0304-400 0305-400 0306-400 0307-502 0308-400
    0400-403 0500-401 0501-401 0502-401 0503-401 0504-401 0505-401 0506-401
    """,
    )
)
CONSENT = "/ee/v1/privacy/set-consent"
V2 = "/ee/v2/interact"
BEARER = {"Authorization": "Bearer t", "x-api-key": "client", "x-gw-ims-org-id": "org"}
OVERRIDES = {"com_adobe_experience_platform": {"datasets": {"event": {"datasetId": "x"}}}}
ONE_EVENT = {"event": {"xdm": {"eventType": "a"}}}


def token(*permissions: Permission, sandbox: str = ALL_SANDBOXES) -> AccessToken:
    return AccessToken("client", "org", frozenset(permissions), frozenset({sandbox}), START)


class Caller:
    """One caller of the service; what it does brings one code about."""

    def __init__(
        self,
        body: Any = None,
        *,
        outcome: Kept | Exception | None = None,
        bearer: AccessToken | Exception | None = None,
        disabled: bool = False,
        **options: Any,
    ) -> None:
        self._body = body if isinstance(body, bytes) else json.dumps(body or mobile()).encode()
        self._bearer = bearer or token(Permission.COLLECT)
        self._options = options
        sources = [Disabled(MOBILE_ID)] if disabled else [datastream(), datastream("web")]
        outcomes = () if outcome is None else (outcome,)
        self.world = World(*sources, outcomes=outcomes, read_token=self._read)

    def call(self) -> Reply:
        """Return how the service answers."""
        return self.world.post(self._body, **self._options)

    def _read(self, _: str) -> AccessToken:
        if isinstance(self._bearer, Exception):
            raise self._bearer
        return self._bearer


def page(document: Any, **options: Any) -> Caller:
    return Caller(document, query=edge_query(WEB_ID), headers={"Origin": PAGE}, **options)


def server(bearer: AccessToken | Exception, headers: dict[str, str] = BEARER) -> Caller:
    return Caller(ONE_EVENT, path=V2, headers=headers, bearer=bearer)


def consent(*items: Any, **changes: Any) -> Caller:
    return Caller(consent_body(*items, **changes), path=CONSENT, query=edge_query(WEB_ID))


COLLECTS = token(Permission.COLLECT)
BROUGHT_ABOUT = {
    "0002-400": Caller(query=""),
    "0003-400": Caller(query="configId=BOGUS"),
    "0004-422": Caller(disabled=True),
    "0101-400": Caller(b"{"),
    "0102-400": Caller({"events": {}}),
    "0103-400": Caller({"events": []}),
    "0104-422": consent({"standard": "Adobe", "version": "9.0", "value": {"general": "in"}}),
    "0105-400": Caller(b""),
    "0111-415": Caller(headers={"Content-Type": "application/x-jackson-smile"}),
    "0112-413": Caller(b" " * 70_000),
    "0113-400": Caller({"meta": {"configOverrides": OVERRIDES}, "events": [{"xdm": {}}]}),
    "0201-503": Caller(outcome=StoreUnavailableError("away")),
    "0204-200": Caller(outcome=Kept(stored=1, refusals=(WRONG_PLATFORM,))),
    "0301-200": Caller(outcome=Kept(without_consent=(0,))),
    "0303-200": page(web(query={"identity": {"fetch": ["ECID", "AAID"]}})),
    "0305-400": consent(query={}, identityMap={"ECID": [{"id": "0"}]}),
    "0500-401": server(COLLECTS, {}),
    "0502-401": server(UnauthorizedError("no")),
    "0503-401": server(ExpiredTokenError("no")),
    "0504-401": server(COLLECTS, BEARER | {"x-api-key": "another"}),
    "0505-401": server(token(Permission.PROFILES_READ)),
    "0506-401": server(token(Permission.COLLECT, sandbox="dev")),
}


def _codes_of(text: str) -> set[str]:
    rows = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return {code for row in rows for code in re.findall(r"\d{4}-\d{3}", row)}


def _code_literals() -> set[str]:
    tree = ast.parse(Path(errors.__file__).read_text())
    texts = {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {text for text in texts if re.fullmatch(r"\d{4}-\d{3}", text)}


OCCURS, NEVER = (
    _codes_of(part) for part in PAGE_OF_CODES.read_text().split("These do not, and why:")
)


def test_every_documented_code_occurs_or_has_its_reason() -> None:
    assert OCCURS | NEVER == DOCUMENTED
    assert not OCCURS & NEVER


def test_the_page_names_the_codes_that_the_service_knows() -> None:
    assert _code_literals() == OCCURS


def test_every_code_that_occurs_is_brought_about_here() -> None:
    assert set(BROUGHT_ABOUT) == OCCURS


@pytest.mark.parametrize("code", sorted(BROUGHT_ABOUT))
def test_a_code_is_answered_and_an_error_leaves_nothing(code: str) -> None:
    caller, status = BROUGHT_ABOUT[code], int(code[-3:])

    reply = caller.call()

    assert reply.status == status
    if status == 200:
        body = reply.body.strip(b"\0\n")
        assert [each["type"] for each in json.loads(body)["warnings"]] == [
            f"{errors.TYPE_PREFIX}{code}"
        ]
        return
    assert reply.json()["type"] == f"{errors.TYPE_PREFIX}{code}"
    assert reply.json()["status"] == status
    assert caller.world.committer.requests == []
    assert ("retry-after" in reply.headers) == (status == 503)


def test_data_that_the_store_refuses_is_unprocessable() -> None:
    reply = Caller(outcome=RefusedDataError("no")).call()

    assert (reply.status, reply.json()["type"][-8:]) == (422, "0104-422")
