"""``edgepost profiles import FILE``, as it is typed."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.catalog import inlets
from service.catalog.inlets import InletChanges, NewInlet
from service.cli.main import main
from service.core.secret import new_secret_key
from service.db.session import SessionFactory, unit_of_work
from service.profiles.lookups import find_profile
from service.sandboxes.scope import Scope
from tests.support.clocks import START

README = Path(__file__).resolve().parents[2] / "README.md"
ORG = "EDGEPOST@AdobeOrg"


def person(crm_id: str, **more: Any) -> bytes:
    return json.dumps({"identityMap": {"CRMID": [{"id": crm_id}]}, **more}).encode()


@dataclass(frozen=True)
class Importer:
    """Imports files into one store, and looks at what is in it."""

    store: SessionFactory
    file: Path
    scope: Scope

    def run(self, lines: Sequence[bytes], *options: str) -> Result:
        self.file.write_bytes(b"\n".join(lines) + b"\n")
        env = {
            "DATABASE_URL": self.store.engine.url.render_as_string(hide_password=False),
            "EDGEPOST_SECRET_KEYS": new_secret_key(),
        }
        return CliRunner().invoke(main, ["profiles", "import", str(self.file), *options], env=env)

    def inlet(self, name: str) -> str:
        with unit_of_work(self.store) as session:
            return str(inlets.create(session, self.scope, NewInlet(name, ORG), now=START).id)

    def inlets(self) -> list[str]:
        with unit_of_work(self.store) as session:
            return [each.name for each in inlets.list_page(session, self.scope, limit=10)]

    def knows(self, crm_id: str) -> bool:
        with unit_of_work(self.store) as session:
            return find_profile(session, self.scope, "CRMID", crm_id) is not None


@pytest.fixture
def importer(store: SessionFactory, scope: Scope, tmp_path: Path) -> Importer:
    return Importer(store, tmp_path / "people.ndjson", scope)


def test_without_an_inlet_one_is_made_and_used_again(importer: Importer) -> None:
    first = importer.run([person("C-1")])
    again = importer.run([person("C-2")])

    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    assert "(import, just made)" in first.output
    assert "just made" not in again.output
    assert importer.inlets() == ["import"]
    assert importer.knows("C-1")
    assert importer.knows("C-2")


def test_the_only_inlet_is_used(importer: Importer) -> None:
    importer.inlet("CRM export")

    result = importer.run([person("C-1")])

    assert result.exit_code == 0, result.output
    assert importer.inlets() == ["CRM export"]
    assert importer.knows("C-1")


def test_of_several_inlets_one_must_be_named(importer: Importer) -> None:
    crm, shop = importer.inlet("CRM export"), importer.inlet("Shop")

    refused = importer.run([person("C-1")])
    named = importer.run([person("C-1")], "--inlet", shop)

    assert refused.exit_code == 1
    assert refused.output.startswith("Error: The sandbox prod has several inlets: say with --inlet")
    assert f"{crm} (CRM export), {shop} (Shop)." in refused.output
    assert named.exit_code == 0, named.output


def test_an_inlet_that_is_switched_off_is_named(importer: Importer, scope: Scope) -> None:
    key = importer.inlet("CRM export")
    with unit_of_work(importer.store) as session:
        row = inlets.list_page(session, scope, limit=1)[0]
        inlets.update(session, scope, row.id, InletChanges(is_enabled=False), now=START)

    refused = importer.run([person("C-1")])

    assert refused.exit_code == 1
    assert f"is disabled: {key} (CRM export)" in refused.output
    assert importer.inlets() == ["CRM export"]


def test_each_refused_line_is_named_with_what_is_wrong(importer: Importer) -> None:
    result = importer.run(
        [
            b"\xef\xbb\xbf" + person("C-1"),
            b"",
            b'{"identityMap":',
            b'["C-2"]',
            b"  \t\r",
            b'{"identityMap": {"CRMID": [{"id": "C-3\x00"}]}}',
            rb'{"identityMap": {"CRMID": [{"id": "C-4"}]}, "person": {"name": "\u0000"}}',
            b'{"person": "\xff"}',
            b'{"person": {}}',
            b'{"identityMap": {"CRMID": "C-5"}}',
            person("C-6"),
        ]
    )

    lines = dict(re.findall(r"^line (\d+): (.*)$", result.output, re.MULTILINE))
    assert result.exit_code == 1
    assert result.output.endswith("2 kept, 7 refused\n")
    assert lines == {
        "3": "is not JSON: Input data was truncated",
        "4": "is not a JSON object: Expected `object`, got `array`",
        "6": "holds a NUL character (byte 38)",
        "7": "Message is invalid: /person/name: holds a NUL character",
        "8": "is not UTF-8 (byte 12)",
        "9": "Message names no usable identity: /identityMap: "
        'expected {"NAMESPACE": [{"id": "…"}]}',
        "10": "Message is invalid: /identityMap/*: Expected `array`, got `str`",
    }
    assert importer.knows("C-1")
    assert importer.knows("C-6")


def test_a_line_of_which_nothing_could_be_used_is_refused_with_why(importer: Importer) -> None:
    event = {"_id": "e1", "timestamp": "2026-06-30T10:00:00Z"}
    lines = [
        {"identityMap": {"CRMID": [{"id": "undefined"}]}},
        {"identityMap": {"Loyalty": [{"id": "L-1"}]}, "person": {}},
        {"identityMap": {"Loyalty": [{"id": "L-1"}], "ECID": [{"id": "41"}]}, **event},
        {"identityMap": {"Loyalty": [{"id": "L-1"}], "CRMID": [{"id": "C-1"}]}},
    ]

    result = importer.run([json.dumps(each).encode() for each in lines])

    nobody = "Message names no usable identity: /identityMap: "
    found = dict(re.findall(r"^line (\d+): (.*)$", result.output, re.MULTILINE))
    assert found == {
        "1": f"{nobody}CRMID: junkIdentity",
        "2": f"{nobody}Loyalty: unknownNamespace",
        "3": f"{nobody}ECID: ecidNot38Digits, Loyalty: unknownNamespace",
    }
    assert (result.exit_code, result.output.endswith("1 kept, 3 refused\n")) == (1, True)


def test_an_event_that_could_be_a_profile_is_refused_with_what_to_do(importer: Importer) -> None:
    lines = [
        person("C-1", eventType="app.launch"),
        person("C-2", _id="e1", eventType="app.launch"),
        person("C-3", timestamp="2026-06-30T10:00:00Z", eventType="app.launch"),
        person("C-4", _id="e1", commerce={}),
        person("C-5", _id="C-5"),
        person("C-6", _id="e2", eventType="app.launch", timestamp="2026-06-30T10:00:00Z"),
    ]

    result = importer.run(lines)

    found = dict(re.findall(r"^line (\d+): has (.*): give an event", result.output, re.MULTILINE))
    assert found == {
        "1": "eventType, as an event, and no _id and no timestamp",
        "2": "eventType, as an event, and no timestamp",
        "3": "eventType, as an event, and no _id",
        "4": "commerce, as an event, and no timestamp",
    }
    assert [importer.knows(f"C-{number}") for number in (1, 4, 5, 6)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("consents", "problem"),
    [
        ({"marketing": {"push": {"val": "no"}}}, "/marketing/push/val: expected one of y, n, p, u"),
        ({"marketing": {"push": {"val": False}}}, "/marketing/push/val: expected a string"),
        ({"marketing": {"push": "n"}}, "/marketing/push: expected an object"),
        ({"collect": {"val": "yes"}}, "/collect/val: expected one of"),
        ("y", ": expected an object"),
    ],
)
def test_a_consent_that_nobody_could_act_on_is_refused(
    importer: Importer, consents: object, problem: str
) -> None:
    result = importer.run([person("C-1", consents=consents)])

    assert result.exit_code == 1
    assert f"line 1: Message is invalid: /consents{problem}" in result.output


def test_consents_of_the_standard_are_kept(importer: Importer) -> None:
    consents = {
        "collect": {"val": "y"},
        "marketing": {"preferred": "push", "push": {"val": "n", "time": "2026-06-30T10:00:00Z"}},
        "metadata": {"time": "2026-06-30T10:00:00Z"},
        "idSpecific": {"Email": {}},
    }

    assert importer.run([person("C-1", consents=consents)]).exit_code == 0


def test_an_envelope_that_is_not_whole_is_told_what_it_lacks(importer: Importer) -> None:
    result = importer.run([b'{"header": {}}', b'{"header": {"schemaRef": {"id": "x"}}}'])

    assert "line 1: Message has unknown xdm format: /header: " in result.output
    assert "line 2: Message has unknown xdm format: /: " in result.output


def test_a_file_of_blank_lines_is_none_kept_and_none_refused(importer: Importer) -> None:
    result = importer.run([b"", b" "])

    assert result.exit_code == 0, result.output
    assert result.output.endswith("0 kept, 0 refused\n")


def test_the_line_in_the_readme_is_kept(importer: Importer) -> None:
    section = README.read_text().partition("## Bring people in")[2]
    line = next(each for each in section.splitlines() if each.startswith("{"))

    result = importer.run([line.encode()])

    assert result.exit_code == 0, result.output
    assert result.output.endswith("1 kept, 0 refused\n")
