"""Requests to addresses that others chose: signed by Standard Webhooks, over TLS, never into our own network.

https://www.standardwebhooks.com: `webhook-id` is the same however often it is sent, `webhook-timestamp` is of this time,
`webhook-signature` has one signature for each key.
"""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import urlsplit

import urllib3
from standardwebhooks import Webhook

from shared.backends.gcp.http import trusting_the_system
from shared.domain.addresses import address
from shared.domain.notifications import Endpoint
from shared.domain.telemetry import fact

CONNECT, READ = 3.0, 10.0
PORT = 443

Resolve = Callable[[str], Sequence[str]]


def resolved(host: str) -> list[str]:
    """The addresses of `host`, none where nobody knows it."""
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM)]
    except OSError:
        return []


def is_public(ip: str) -> bool:
    """Whether `ip` is somewhere on the internet, whatever form it is written in: not this host, not a network of ours, not
    the metadata server (169.254.169.254). IPv4 within IPv6 is judged as what it is."""
    one = address(ip)
    if one is None:
        return False
    found = ipaddress.ip_address(one)
    if isinstance(found, ipaddress.IPv6Address) and (found.sixtofour is not None or found.teredo is not None):
        return False
    return found.is_global and not found.is_multicast


class Outgoing:
    """Sends by one connection a request. Names are looked up once, and the connection goes to an address that was
    looked at. resolve, context, port: the world's; a test has its own."""

    def __init__(
        self,
        resolve: Resolve = resolved,
        context: Callable[[], ssl.SSLContext] = trusting_the_system,
        port: int = PORT,
        public: Callable[[str], bool] = is_public,
    ) -> None:
        self._resolve, self._context, self._port, self._public = resolve, context, port, public

    def __call__(self, endpoint: Endpoint, notification_id: str, body: str, now: datetime) -> int:
        """The status of the answer, whose body nobody reads and whose redirect nobody follows; 0 where none came within
        `CONNECT` and `READ` seconds, or the address is not public."""
        url = urlsplit(endpoint.url)
        host = url.hostname or ""
        addresses = self._resolve(host)
        if not addresses or not all(map(self._public, addresses)):
            fact("endpoint_not_public", endpoint=endpoint.name, known=bool(addresses))
            return 0
        signatures = [Webhook(secret).sign(notification_id, now, body) for secret in endpoint.keys.values()]
        headers = {
            "host": host,
            "content-type": "application/json",
            "user-agent": "pay-in",
            "webhook-id": notification_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        pool = urllib3.HTTPSConnectionPool(
            addresses[0],
            self._port,
            ssl_context=self._context(),
            server_hostname=host,
            assert_hostname=host,
            timeout=urllib3.Timeout(connect=CONNECT, read=READ),
            retries=False,
        )
        try:
            answer = pool.urlopen(
                "POST", path, body=body.encode(), headers=headers, redirect=False, preload_content=False
            )
            answer.close()
            return answer.status
        except urllib3.exceptions.HTTPError as error:
            fact("endpoint_silent", endpoint=endpoint.name, error=type(error).__name__)
            return 0
        finally:
            pool.close()
