"""The admin API as an engineer's script calls it: real HTTP, a token, headers."""

from dataclasses import dataclass, field
from typing import Any

import requests

ORG = "EDGEPOST@AdobeOrg"


@dataclass(slots=True)
class AdminClient:
    """One client of one sandbox; fetches its access token at the first call."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    sandbox: str = "prod"
    _http: requests.Session = field(default_factory=requests.Session, init=False)

    def call(self, method: str, path: str, json: Any = None, **params: str) -> Any:
        """Return the JSON of an answer; an error answer fails with its body."""
        if "Authorization" not in self._http.headers:
            self._authorize()
        answer = self._http.request(
            method,
            f"{self.url}{path}",
            json=json,
            params=params,
            timeout=30,
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def post(self, path: str, json: Any = None) -> Any:
        """Create something."""
        return self.call("POST", path, json)

    def get(self, path: str, **params: str) -> Any:
        """Read something."""
        return self.call("GET", path, **params)

    def _authorize(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
        answer = requests.post(f"{self.url}/ims/token/v3", data=form, timeout=30)
        assert answer.ok, answer.text
        self._http.headers.update(
            {
                "Authorization": f"Bearer {answer.json()['access_token']}",
                "x-api-key": self.client_id,
                "x-gw-ims-org-id": ORG,
                "x-sandbox-name": self.sandbox,
            },
        )


def credentials_of(printed: str) -> dict[str, str]:
    """Return what ``edgepost credentials create`` printed."""
    pairs = (line.split(": ", 1) for line in printed.splitlines() if ": " in line)
    return {name: value for name, value in pairs if name in {"client_id", "client_secret"}}
