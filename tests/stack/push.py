"""Pub/Sub's push subscriptions for the embedded stack: pulls from the local bus, posts to functions, backs off.

`python -m tests.stack.push <SQLite file> '{"<subscription>": "<url>"}'`, a process of its own so that delivering
does not compete with whoever plays the traffic. It ends with its parent or on SIGTERM.
"""

import base64
import json
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

import urllib3

from shared.backends.local.bus import LocalBus
from shared.backends.local.sql import Database
from shared.domain.codec import encode, utc_text
from shared.domain.errors import Unavailable
from shared.flows.ports import Pulled

BATCH = 40
AT_ONCE = 6  # requests in flight to one function
LEASE = 60.0  # seconds; Pub/Sub's acknowledgement deadline
TIMEOUT = urllib3.Timeout(connect=5, read=LEASE - 10)
LONGEST_WAIT = 5.0
LOOK_EVERY = 0.005
LOOK_ANYWAY = 0.05  # leases run out and delays end without anybody writing


def push_body(message: Pulled, subscription: str) -> bytes:
    """The request that a wrapped push subscription makes."""
    return encode(
        {
            "message": {
                "attributes": dict(message.attributes),
                "data": base64.b64encode(message.data).decode("ascii"),
                "messageId": message.message_id,
                "message_id": message.message_id,
                "publishTime": utc_text(message.published_at),
                "publish_time": utc_text(message.published_at),
            },
            "subscription": f"projects/local/subscriptions/{subscription}",
        }
    )


class Watch:
    """Wakes whoever has messages: looks into the SQLite file by itself, which costs microseconds where a pull costs
    half a millisecond, and only when somebody has written to it."""

    def __init__(self, file: str, names: Collection[str]) -> None:
        self.stopped = False
        self.waiting = {name: threading.Event() for name in names}
        self._file = file

    def run(self) -> None:
        connection = sqlite3.connect(self._file, isolation_level=None)
        due = "SELECT EXISTS (SELECT 1 FROM queue WHERE subscription = ? AND visible_at <= ?)"
        known, looked = None, 0.0
        while not self.stopped:
            version = connection.execute("PRAGMA data_version").fetchone()
            if version != known or time.monotonic() > looked + LOOK_ANYWAY:
                known, looked = version, time.monotonic()
                for name, event in self.waiting.items():
                    if not event.is_set() and connection.execute(due, (name, time.time_ns() // 1000)).fetchone()[0]:
                        event.set()
            time.sleep(LOOK_EVERY)
        connection.close()

    def stop(self) -> None:
        self.stopped = True
        for event in self.waiting.values():
            event.set()


class Pusher:
    """Delivers one subscription to one URL until the watch is stopped."""

    def __init__(self, bus: LocalBus, name: str, url: str, watch: Watch) -> None:
        self._bus, self._name, self._url, self._watch = bus, name, url, watch
        self._http = urllib3.PoolManager(maxsize=AT_ONCE, retries=False, timeout=TIMEOUT)

    def run(self) -> None:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix=self._name) as workers:
            there = self._watch.waiting[self._name]
            while there.wait() and not self._watch.stopped:
                there.clear()
                try:
                    while messages := self._bus.pull(self._name, BATCH, LEASE):
                        self._settle(messages, list(workers.map(self._post, messages)))
                except Unavailable:
                    time.sleep(0.1)  # the database is busy; leases bring back what was not settled

    def _post(self, message: Pulled) -> bool:
        try:
            answer = self._http.request(
                "POST", self._url, body=push_body(message, self._name), headers={"Content-Type": "application/json"}
            )
            return 200 <= answer.status < 300
        except urllib3.exceptions.HTTPError:
            return False

    def _settle(self, messages: list[Pulled], done: list[bool]) -> None:
        accepted = [message.ack_id for message, ok in zip(messages, done, strict=True) if ok]
        if accepted:
            self._bus.ack(self._name, accepted)
        for message, ok in zip(messages, done, strict=True):
            if not ok:
                self._bus.nack(self._name, [message.ack_id], min(LONGEST_WAIT, 0.1 * 2**message.attempt))


def push(file: str, urls: Mapping[str, str]) -> None:
    """Deliver every subscription in `urls` from the SQLite `file`, until SIGTERM or until the parent is gone."""
    watch = Watch(file, urls)
    signal.signal(signal.SIGTERM, lambda *_: watch.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    bus = LocalBus(Database(f"sqlite:///{file}"))
    pushers = [threading.Thread(target=Pusher(bus, name, url, watch).run, name=name) for name, url in urls.items()]
    for thread in (threading.Thread(target=watch.run, name="watch"), *pushers):
        thread.start()
    parent = os.getppid()
    while not watch.stopped and os.getppid() == parent:
        time.sleep(0.2)
    watch.stop()


if __name__ == "__main__":
    push(sys.argv[1], json.loads(sys.argv[2]))
