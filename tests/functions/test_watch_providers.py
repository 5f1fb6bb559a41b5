"""What `watch_providers` does with the keys of pseudonyms that it has: it tells of entries whose key is gone."""

import json
import logging
from pathlib import Path

import pytest

from shared.domain.decisions import Action
from shared.flows.listing import list_entity
from shared.fraud.lists import Entry
from tests.builders import DAY, NOON
from tests.functions.test_inputs import a_push, client
from tests.local import local_ports

KEYS = {version: version * 32 for version in "123"}


@pytest.mark.parametrize(("held", "alarms"), [("12", 0), ("21", 0), ("23", 1)])
def test_a_key_that_is_left_out_while_somebody_is_listed_by_it_is_told_of(
    held: str, alarms: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "clock").write_text(NOON.isoformat())
    monkeypatch.setenv("PAYIN_HOME", str(tmp_path))
    monkeypatch.setenv("PAYIN_CLOCK", str(tmp_path / "clock"))
    ring = {"current": held[-1], "keys": {version: KEYS[version] for version in held}}
    monkeypatch.setenv("PAYIN_PSEUDONYM_KEYS", json.dumps(ring))
    said = {"owner": "risk", "reason": "a mule", "until": NOON + DAY}
    entry = Entry(action=Action.BLOCK, kind="customer", value=f"mail-1-{'1a' * 32}", **said)  # type: ignore[arg-type]
    list_entity(local_ports(tmp_path), entry, NOON, author="ana")
    watching = client("watch_providers")
    monkeypatch.setattr(logging.getLogger("payin"), "propagate", True)
    assert watching.post("/", json=a_push(b"", job="canary")).status_code == 204
    assert "entries_lapsed" not in caplog.messages
    assert watching.post("/", json=a_push(b"", job="subscriptions")).status_code == 204
    assert caplog.messages.count("entries_lapsed") == alarms
