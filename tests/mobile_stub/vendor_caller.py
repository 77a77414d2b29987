"""A caller of the gateway, as the service would be one."""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key


@cache
def private_key(pem: str) -> PrivateKeyTypes:
    return load_pem_private_key(pem.encode(), None)  # 50 ms each time


@dataclass
class Vendor:
    """A caller of the gateway with one kept-alive session and a valid access token."""

    url: str
    http: requests.Session
    account: dict[str, Any]
    access_token: str = ""

    def assertion(self, **changed: Any) -> str:
        now = int(time.time())  # noqa: TID251 - the gateway checks it against the real time
        claims = {
            "iss": self.account["client_email"],
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": self.account["token_uri"],
            "iat": now,
            "exp": now + 3600,
        }
        key_id = {"kid": self.account["private_key_id"]}
        key: Any = private_key(self.account["private_key"])
        return jwt.encode(claims | changed, key, algorithm="RS256", headers=key_id)

    def grant(self, assertion: str) -> requests.Response:
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        return self.http.post(self.account["token_uri"], data=form, timeout=5)

    def fcm(self, message: dict[str, Any], **extra: Any) -> requests.Response:
        return self.http.post(
            f"{self.url}/v1/projects/{self.account['project_id']}/messages:send",
            json={"message": message} | extra,
            headers={"Authorization": f"Bearer {self.access_token}"},
            timeout=5,
        )

    def push(self, body: Any, **headers: str) -> requests.Response:
        sent = {"X-API-Key": "stub-api-key"} | headers
        return self.http.post(f"{self.url}/push", json=body, headers=sent, timeout=5)

    def script(self, *faults: dict[str, Any]) -> requests.Response:
        return self.http.put(f"{self.url}/_script", json={"faults": faults}, timeout=5)

    def get(self, path: str, **query: Any) -> Any:
        return self.http.get(f"{self.url}{path}", params=query, timeout=5).json()
