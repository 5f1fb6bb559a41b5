"""What `watch_providers` does: canaries through the webhooks' public addresses, and what providers send to them; and, with the
keys of pseudonyms that it has for the former, whether anybody is listed by a key that is not held any more."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import urllib3

from shared.backends.gcp.http import trusting_the_system
from shared.domain.canaries import derived
from shared.flows.canaries import watch
from shared.flows.entries_by_key import watch_entries
from shared.flows.ports import Documents
from shared.flows.subscriptions import EndpointReader, look
from shared.operations.parking import parked
from shared.providers import load_endpoint, names
from shared.runtime.apis import Apis
from shared.runtime.app import App
from shared.runtime.entry import Handler, Job, on_ticks

CONNECT, READ = 3.0, 10.0
"""Seconds, of which a webhook that has to start first takes a few; a canary is sent once, and the next one in a minute."""

AT_ONCE = 16


def watch_providers(app: App) -> Handler:
    """Ticks `canary` and `subscriptions`, twice a day, with which entries are looked at too. Raises Misconfigured, at once, for settings that cannot be right."""
    urls, livemode = app.settings.webhook_urls(), app.settings.live()
    keyring = app.settings.keyring()
    keys, apis, postman = derived(keyring), Apis(app.settings, app.now), Postman()
    # Without a key nothing is asked, and nobody's answer is missed.
    readers: dict[str, EndpointReader] = {
        name: one for name in urls if name in names() and app.settings.has_api(name) and (one := load_endpoint(name))
    }

    def canary(_: bytes) -> None:
        watch(urls, _parked, keys, postman, app.ports, app.now())

    def subscriptions(_: bytes) -> None:
        look(readers, urls, apis, app.ports, app.now(), livemode=livemode)
        watch_entries(app.ports.documents, keyring, app.now())

    return on_ticks([Job("canary", canary), Job("subscriptions", subscriptions)], app.clock)


def _parked(documents: Documents, providers: Sequence[str]) -> Collection[str]:
    return parked(documents, providers).keys()


class Postman:
    """Posts to all at once, follows no redirect, and heeds nothing of an answer but its status."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(
            num_pools=32,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT, read=READ),
            ssl_context=trusting_the_system(),
        )

    def __call__(self, letters: Mapping[str, tuple[str, bytes, Mapping[str, str]]]) -> dict[str, int]:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="canary") as workers:
            return dict(zip(letters, workers.map(self._post, letters.values()), strict=True))

    def _post(self, letter: tuple[str, bytes, Mapping[str, str]]) -> int:
        url, body, headers = letter
        try:
            answer = self._pool.request("POST", url, body=body, headers=dict(headers), redirect=False)
        except urllib3.exceptions.HTTPError:
            return 0
        return answer.status
