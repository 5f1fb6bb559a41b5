"""The log files of a local stack."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

_NEWEST: Final = 16 << 20
"""Bytes at the end of each file that are read."""


class LogFiles:
    """`shared.flows.ports.Logs`, of the functions whose output is in `folder`. Lines tell the functions' own time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lines(
        self, events: Sequence[str], since: datetime, most: int, where: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        found = [one for file in sorted(self._folder.glob("*.log")) for one in self._of(file, frozenset(events))]
        told = [one for one in found if one["at"] >= since and where.items() <= one.items()]
        return sorted(told, key=lambda one: one["at"], reverse=True)[:most]

    @staticmethod
    def _of(file: Path, events: frozenset[str]) -> list[dict[str, Any]]:
        with file.open("rb") as opened:
            opened.seek(max(file.stat().st_size - _NEWEST, 0))
            raw = [line for line in opened.read().split(b"\n") if line.startswith(b"{")]
        found = []
        for line in raw:
            try:
                told = msgspec.json.decode(line, type=dict[str, Any])
                at = datetime.fromisoformat(told["time"])
            except (msgspec.MsgspecError, KeyError, ValueError):
                continue  # a server's own line, or half a one at the beginning of what was read
            if told.get("event") in events:
                found.append({**told, "at": at})
        return found
