"""Forms that only we hand out, to whom they were handed out, for a while (OWASP, Cross-Site Request Forgery Prevention: a token
bound by HMAC to the session, here to the person whom the proxy names)."""

import base64
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.errors import Rejected

GOOD_FOR = timedelta(hours=8)
_MARK = 16


class FormStale(Rejected):
    """A form that is too old, was handed to somebody else, or is not ours. Answered 403; nothing was done."""

    reason = "form_stale"
    status = 403


@dataclass(frozen=True, slots=True)
class Forms:
    key: bytes

    def handed_to(self, email: str, now: datetime) -> str:
        """A token for a form that `email` is shown now: no two are the same, so that it names what is sent by it, once."""
        body = f"{int((now + GOOD_FOR).timestamp())}.{secrets.token_hex(8)}"
        return f"{body}.{self._mark(body, email)}"

    def once(self, token: str, email: str, now: datetime) -> str:
        """The name of what is sent by `token`, the same for the same form. Raises FormStale."""
        body, _, mark = token.rpartition(".")
        until, _, name = body.partition(".")
        ours = hmac.compare_digest(mark.encode(), self._mark(body, email).encode())
        if not ours or not until.isdigit() or now.timestamp() > int(until):
            raise FormStale(
                "this form is too old, or was not handed to you, and nothing was done: go back to its page, and send it from there"
            )
        return name

    def sealed(self, words: str, email: str) -> str:
        """A mark by which `words`, on their way through an address, are known as ours, to `email` alone."""
        return self._mark(f"said\0{words}", email)

    def are_ours(self, words: str, email: str, seal: str) -> bool:
        return hmac.compare_digest(seal.encode(), self.sealed(words, email).encode())

    def _mark(self, body: str, email: str) -> str:
        made = hmac.digest(self.key, f"{body}\0{email}".encode(), "sha256")[:_MARK]
        return base64.urlsafe_b64encode(made).decode().rstrip("=")
