"""Variables that cannot be meant are refused by name, whichever way the service is run."""

from pathlib import Path

import pytest

from service.core.secret import new_secret_key
from service.settings import SettingsError, embedded_settings, read_settings

WRONG = {
    "EDGEPOST_LOG_LEVEL": ["LOUD", "", "NOTSET"],
    "EDGEPOST_ALLOW_PRIVATE_HOSTS": ["10.1.0.0/99", "localhost"],
    "EDGEPOST_REQUEST_THREADS": ["0", "many"],
    "EDGEPOST_BATCH_EVENTS": ["0"],
    "EDGEPOST_QUEUE_EVENTS": ["-1"],
    "EDGEPOST_ANSWER_WITHIN_S": ["0", "nan"],
    "EDGEPOST_ACCESS_TOKEN_S": ["0"],
    "EDGEPOST_HEADROOM_PERCENT": ["100", "-1"],
    "EDGEPOST_READY_LAG_S": ["soon"],
    "EDGEPOST_SLOW_ENDPOINT_RULE": ["perhaps"],
    "EDGEPOST_SINK_FOLDER": ["/nowhere/at/all", "tests"],
    "EDGEPOST_CA_FILE": ["/nowhere/ca.pem"],
}
PAIRS = [(name, value) for name, values in WRONG.items() for value in values]


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give the environment of a deployment, which a test may change."""
    monkeypatch.setenv("DATABASE_URL", "postgres://127.0.0.1/edgepost")
    monkeypatch.setenv("EDGEPOST_SECRET_KEYS", new_secret_key())
    return monkeypatch


@pytest.mark.parametrize(("name", "value"), PAIRS)
def test_a_value_that_cannot_be_meant_is_refused_by_name(
    platform: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    platform.setenv(name, value)

    with pytest.raises(SettingsError, match=name):
        read_settings()
    with pytest.raises(SettingsError, match=name):
        embedded_settings(tmp_path / "data", makes=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", ["99999", "0", "-1", "http"])
def test_a_port_that_is_none_is_refused(platform: pytest.MonkeyPatch, port: str) -> None:
    platform.setenv("PORT", port)

    with pytest.raises(SettingsError, match="PORT"):
        read_settings()


def test_the_embedded_service_reads_the_optional_variables_too(
    platform: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    platform.setenv("EDGEPOST_LOG_LEVEL", "debug")
    platform.setenv("EDGEPOST_ORG_ID", "ACME@AdobeOrg")
    platform.setenv("EDGEPOST_SLOW_ENDPOINT_RULE", "true")
    platform.setenv("EDGEPOST_CA_FILE", __file__)
    platform.setenv("EDGEPOST_ALLOW_PRIVATE_HOSTS", "10.1.0.0/16, 127.0.0.0/8")

    settings = embedded_settings(tmp_path, makes=True)

    assert (settings.log_level, settings.org_id) == ("DEBUG", "ACME@AdobeOrg")
    assert [str(each) for each in settings.allow_private_hosts] == ["10.1.0.0/16", "127.0.0.0/8"]
    assert (settings.request_threads, settings.is_embedded) == (16, True)
    assert settings.slow_endpoint_rule
    assert settings.ca_file == Path(__file__)
