"""Who stands before the pages: what Identity-Aware Proxy has signed of them, and in which groups of ours they are.

IAP stands in front of the function and lets nobody past who has not signed in; its word is proved here all the same, for a
request that came around it would have none: https://cloud.google.com/iap/docs/signed-headers-howto. Which groups somebody is in
is no part of that word; Cloud Identity knows it, through groups of groups too:
https://cloud.google.com/identity/docs/reference/rest/v1/groups.memberships/checkTransitiveMembership.
"""

import threading
import time
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

import msgspec

from shared.backends.gcp.http import Http
from shared.backends.gcp.tokens import Tokens
from shared.domain.errors import Misconfigured, Unavailable
from shared.domain.people import Admission, NotAllowed, Person, Role, Unproven

HEADER: Final = "X-Goog-IAP-JWT-Assertion"
ISSUER: Final = "https://cloud.google.com/iap"
KEYS_URL: Final = "https://www.gstatic.com/iap/verify/public_key"
DIRECTORY_URL: Final = "https://cloudidentity.googleapis.com"

KEPT: Final = 3600.0
"""Seconds for which the proxy's keys are believed before they are asked for again."""
ASKED_AGAIN: Final = 30.0
"""Seconds between two looks for a key that is not among those: whoever makes names up asks nobody for more."""
REMEMBERED: Final = 300.0
"""Seconds for which a membership holds: so long may somebody who was taken out go on."""
MOST: Final = 1000
_SKEW: Final = 30


class Doorman:
    """Raises Misconfigured. Thread-safe. tokens: for Cloud Identity; None where a stand-in answers in its place."""

    def __init__(self, admission: Admission, tokens: Tokens | None) -> None:
        self._admission = admission
        self._plain = Http()
        self._directory = Http(None if admission.directory_url else tokens)
        self._keys: dict[str, str] = {}
        self._asked_at = -KEPT
        self._groups: dict[str, str] = {}
        self._known: dict[str, tuple[float, Role | None]] = {}
        self._lock = threading.Lock()

    def admit(self, assertion: str) -> Person:
        """Whose word `assertion`, the proxy's header, is. Raises Unproven, NotAllowed where they are in none of our groups, and
        Unavailable."""
        email = self._proved(assertion)
        role = self.role_of(email)
        if role is None:
            raise NotAllowed("you are in none of the groups that look at these pages: ask who runs them")
        return Person(email=email, role=role)

    def _proved(self, assertion: str) -> str:
        from google.auth import exceptions, jwt

        if not assertion:
            raise Unproven("nobody says who you are: these pages are behind Identity-Aware Proxy")
        try:
            name = str(jwt.decode_header(assertion).get("kid", ""))  # type: ignore[no-untyped-call]
            claims = cast(
                Mapping[str, Any],
                jwt.decode(  # type: ignore[no-untyped-call]
                    assertion,
                    certs=self._keys_with(name),
                    audience=self._admission.audience,
                    clock_skew_in_seconds=_SKEW,
                ),
            )
        except (exceptions.GoogleAuthError, ValueError, TypeError, AttributeError):
            raise Unproven("the proxy's word on who you are cannot be proved") from None
        email = claims.get("email")
        if claims.get("iss") != ISSUER or not isinstance(email, str) or "@" not in email:
            raise Unproven("the proxy's word on who you are cannot be proved")
        return email.lower()

    def _keys_with(self, name: str) -> dict[str, str]:
        """The proxy's public keys, asked for again where `name` is not among them."""
        with self._lock:
            since = time.monotonic() - self._asked_at
            if since >= KEPT or (name not in self._keys and since >= ASKED_AGAIN):
                status, body = self._plain.request("GET", self._admission.keys_url or KEYS_URL)
                if status != 200:
                    raise Unavailable(f"the proxy's keys cannot be had: status {status}", reason="keys_unavailable")
                self._keys, self._asked_at = msgspec.json.decode(body, type=dict[str, str]), time.monotonic()
            return self._keys

    def role_of(self, email: str) -> Role | None:
        """What whoever has this address may do here; None where they are in none of our groups. Raises Unavailable."""
        now = time.monotonic()
        found = self._known.get(email)
        if found is not None and now - found[0] < REMEMBERED:
            return found[1]
        role = next((one for one in sorted(Role, reverse=True) if self._is_one_of(one, email)), None)
        with self._lock:
            while len(self._known) >= MOST:
                self._known.pop(next(iter(self._known)), None)
            self._known[email] = (now, role)
        return role

    def _is_one_of(self, role: Role, email: str) -> bool:
        return any(self._holds(group, email) for group in self._admission.groups.get(role, ()))

    def _holds(self, group: str, email: str) -> bool:
        name = self._groups.get(group)
        if name is None:
            found = self._ask(f"/v1/groups:lookup?{urlencode({'groupKey.id': group})}")
            name = self._groups[group] = str(found.get("name", ""))
        member = email.replace("\\", "\\\\").replace("'", "\\'")
        query = urlencode({"query": f"member_key_id == '{member}'"})
        return (
            self._ask(f"/v1/{quote(name)}/memberships:checkTransitiveMembership?{query}").get("hasMembership") is True
        )

    def _ask(self, path: str) -> dict[str, Any]:
        status, body = self._directory.request("GET", (self._admission.directory_url or DIRECTORY_URL) + path)
        if status in (403, 404):
            raise Misconfigured(
                "Cloud Identity does not say who is in the groups of PAYIN_CONSOLE: the console's service account has to be a"
                " member of each, or a reader of groups",
                reason="groups_unreadable",
            )
        if status != 200:
            raise Unavailable(f"Cloud Identity does not answer: status {status}", reason="groups_unavailable")
        return msgspec.json.decode(body, type=dict[str, Any])
