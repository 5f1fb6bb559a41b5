"""Cloud Logging is asked for lines of some events, the newest first, page by page."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.backends.gcp.logs import CloudLogs
from shared.domain.errors import Misconfigured, Unavailable
from tests.builders import HOUR, NOON


@dataclass
class Google:
    """Answers what it was told to, and remembers what it was asked: https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list."""

    answers: list[tuple[int, bytes]]
    asked: list[dict[str, Any]] = field(default_factory=list)

    def request(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        assert (method, url) == ("POST", "https://logging.googleapis.com/v2/entries:list")
        self.asked.append(json.loads(body))
        return self.answers.pop(0)


def page(*providers: str, after: str = "") -> tuple[int, bytes]:
    entries = [
        {"timestamp": "2026-11-02T11:00:00.123456Z", "jsonPayload": {"event": "delivery_refused", "provider": one}}
        for one in providers
    ]
    return 200, json.dumps({"entries": entries, "nextPageToken": after}).encode()


def test_lines_are_read_page_by_page_until_there_are_enough() -> None:
    google = Google([page("adyen", "stripe", after="t1"), page("paypal", "square", after="t2")])
    found = CloudLogs("p1", google).lines(["delivery_refused", "circuit_opened"], NOON - HOUR, 3, {})
    assert [one["provider"] for one in found] == ["adyen", "stripe", "paypal"]
    assert found[0]["at"].isoformat() == "2026-11-02T11:00:00.123456+00:00"
    first, second = google.asked
    assert first["resourceNames"] == ["projects/p1"]
    assert 'jsonPayload.event=("delivery_refused" OR "circuit_opened")' in first["filter"]
    assert 'timestamp>="2026-11-02T11:00:00.000000Z"' in first["filter"]
    assert (first["orderBy"], second["pageToken"]) == ("timestamp desc", "t1")


def test_no_lines_are_none() -> None:
    assert CloudLogs("p1", Google([(200, b"{}")])).lines(["delivery_refused"], NOON, 10, {}) == []


def test_what_is_asked_of_their_fields_is_asked_of_google_as_a_text_whatever_is_in_it() -> None:
    google = Google([page("adyen")])
    CloudLogs("p1", google).lines(["job_ended"], NOON, 10, {"job": 'erase" OR "'})
    assert r' AND jsonPayload.job="erase\" OR \"" AND ' in google.asked[0]["filter"]


@pytest.mark.parametrize(("status", "error"), [(403, Misconfigured), (500, Unavailable)])
def test_logs_that_are_not_read_say_whose_turn_it_is(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        CloudLogs("p1", Google([(status, b"")])).lines(["delivery_refused"], NOON, 10, {})
