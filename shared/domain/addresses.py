"""Internet addresses: one text for each, and what one subscriber has of them."""

import ipaddress
import re

# What proxies write around an address: brackets and a port (RFC 3986 §3.2.2), a port alone after IPv4.
_AROUND = re.compile(
    r"\[(?P<v6>[0-9A-Fa-f:.%]{2,64}[^\]]{0,32})\](?::[0-9]{1,5})?|(?P<v4>[0-9.]{7,15}):[0-9]{1,5}", re.ASCII
)
_DECIMALS = re.compile(r"(?:[0-9A-Fa-f:]{2,64}:)?[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)
# Where IPv6 holds IPv4 in its last 32 bits: mapped and compatible (RFC 4291 §2.5.5), translated (RFC 2765 §2.1, RFC 6052 §2.1).
_HOLDING = tuple(
    ipaddress.IPv6Network(prefix) for prefix in ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
_OWN = ipaddress.IPv6Network("::/112")  # `::1` is the host itself: nobody's IPv4 address begins with 0.0
_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])", re.ASCII)


def address(text: str) -> str | None:
    """`text` as an address in its usual form (RFC 5952); None when it is none.

    IPv4 in IPv6 form (`::ffff:192.0.2.1`, `64:ff9b::192.0.2.1`) is IPv4; a zone (`fe80::1%eth0`), brackets and a port are left out; leading zeros
    are read as decimal, as they are meant. Of a list as proxies write it (X-Forwarded-For, RFC 7239 §5.2: whoever asked
    first, then each proxy) it is the first that is public, or else the first.
    """
    if len(text) > 512:
        return None
    found = [one for part in text.split(",") if (one := _one(part)) is not None]
    if len(found) < 2:
        return str(found[0]) if found else None
    return str(next((one for one in found if one.is_global), found[0]))


def _one(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if len(text) > 128:
        return None
    text = text.strip()
    if around := _AROUND.fullmatch(text):
        text = around["v6"] or around["v4"]
    if _DECIMALS.fullmatch(text):
        before, colon, decimals = text.rpartition(":")
        text = before + colon + _ZEROS.sub("", decimals)
    try:
        found = ipaddress.ip_address(text.partition("%")[0] if ":" in text else text)
    except ValueError:
        return None
    return _held(found) if isinstance(found, ipaddress.IPv6Address) else found


def _held(found: ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    holds = found not in _OWN and any(found in prefix for prefix in _HOLDING)
    return ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF) if holds else found


def network(ip: str) -> str:
    """What is one subscriber's of address `ip`: IPv4 itself, of IPv6 its /64, within which a device changes its address at
    will (RFC 6177, RFC 8981). Through a Teredo server all its clients have one /64: a client's own IPv4 is in the address
    (RFC 4380 §4). What is no address stands for itself."""
    found = address(ip)
    if found is None or ":" not in found:
        return found or ip
    teredo = ipaddress.IPv6Address(found).teredo
    if teredo is not None:
        return str(teredo[1])
    return str(ipaddress.IPv6Network((found, 64), strict=False))
