"""Cloud Logging, read: what functions have said of themselves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from shared.domain.codec import utc_text
from shared.domain.errors import Misconfigured, Unavailable

_URL: Final = "https://logging.googleapis.com/v2/entries:list"
_PAGE: Final = 1000


class Asking(Protocol):
    """`shared.backends.gcp.http.Http`."""

    def request(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]: ...


class _Entry(msgspec.Struct):
    timestamp: datetime
    jsonPayload: dict[str, Any] = {}  # noqa: N815 - Google's own name


class _Page(msgspec.Struct):
    entries: list[_Entry] = []
    nextPageToken: str = ""  # noqa: N815


class CloudLogs:
    """`shared.flows.ports.Logs`."""

    def __init__(self, project: str, http: Asking) -> None:
        self._project, self._http = project, http

    def lines(
        self, events: Sequence[str], since: datetime, most: int, where: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """Raises Unavailable, and Misconfigured for whoever may not read logs."""
        filters = [
            'resource.type="cloud_run_revision"',
            f"jsonPayload.event=({' OR '.join(map(_quoted, events))})",
            *(f"jsonPayload.{name}={_quoted(value)}" for name, value in where.items()),
            f'timestamp>="{utc_text(since)}"',
        ]
        asked = {
            "resourceNames": [f"projects/{self._project}"],
            "filter": " AND ".join(filters),
            "orderBy": "timestamp desc",
            "pageSize": min(most, _PAGE),
        }
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self._page({**asked, "pageToken": token} if token else asked)
            found += [{**one.jsonPayload, "at": one.timestamp} for one in page.entries]
            token = page.nextPageToken
            if not token or len(found) >= most:
                return found[:most]

    def _page(self, asked: dict[str, Any]) -> _Page:
        status, answer = self._http.request(
            "POST", _URL, msgspec.json.encode(asked), {"content-type": "application/json"}
        )
        if status == 403:
            raise Misconfigured("these credentials may not read logs: roles/logging.viewer may", reason="not_allowed")
        if status != 200:
            raise Unavailable(f"Cloud Logging answers with {status}", reason="logs_down")
        return msgspec.json.decode(answer, type=_Page)


def _quoted(text: str) -> str:
    """A text of Logging's query language, whose strings are JSON's: https://cloud.google.com/logging/docs/view/logging-query-language."""
    return msgspec.json.encode(text).decode()
