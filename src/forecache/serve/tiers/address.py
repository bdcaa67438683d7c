"""Address: where servers of Valkey or Redis are, read from URLs, and never shown with a password.

    valkey://user:password@host:6379/0       one server
    valkeys://host                           the same over TLS
    valkey://one:6379,two:6379,three:6379    several servers without a cluster; or a list of URLs
    valkey://one,two?cluster=1               nodes of a cluster
    valkey://one:26379,two:26379/0?sentinel=main     sentinels that know the primary called main
    unix:///run/valkey.sock?db=0             a socket of this machine

`redis` and `rediss` mean the same as `valkey` and `valkeys`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from forecache.errors import ConfigurationError
from forecache.units import Duration, parse_ttl

__all__ = ["Address", "Mode", "parse_addresses"]

Mode = Literal["servers", "cluster", "sentinel"]

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
SCHEMES: Final = {"valkey": False, "redis": False, "valkeys": True, "rediss": True, "unix": False}  # whether over TLS
TLS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
OPTIONS: Final = ("cluster", "db", "protocol", "sentinel", "sentinel_username", "sentinel_password", "timeout", *TLS)
TRUE: Final = ("1", "true", "yes")
TIMEOUT: Final = 0.25  # seconds: many round trips, and a small part of what a user notices
EXPECTED: Final = "expected valkey://, valkeys://, redis:// or rediss:// with a host, or unix:// with a path"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect, and how."""

    mode: Mode
    hosts: tuple[tuple[str, int], ...]  # one for servers; path and 0 for a socket
    timeout: float = TIMEOUT  # seconds to connect, and to wait for an answer
    primary: str = ""  # its name among sentinels
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # of the client, with the password
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Hosts and ports."""
        hosts = ",".join(f"{host}:{port}" if port else host for host, port in self.hosts)
        return {"servers": hosts, "cluster": f"cluster {hosts}", "sentinel": f"{self.primary} of {hosts}"}[self.mode]


def parse_addresses(urls: str | Iterable[str], timeout: Duration | None = None) -> list[Address]:
    """Addresses of one or several URLs: one for each server, or one for a whole cluster or a set of sentinels.

    Args:
        urls: in the forms above.
        timeout: in place of what the URLs say.

    Raises:
        ConfigurationError: a URL cannot be used, an option is unknown, or there is none; the message shows no password.
    """
    found = [address for url in ([urls] if isinstance(urls, str) else urls) for address in _parse(url)]
    if timeout is not None:
        found = [replace(address, timeout=parse_ttl(timeout)) for address in found]
    together = {address.mode for address in found}
    if not found or (len(found) > 1 and together != {"servers"}):
        raise ConfigurationError(
            f"{len(found)} addresses of a shared tier, {' and '.join(sorted(together)) or 'none'}; expected several "
            "servers, or all nodes of one cluster, or all sentinels, in one URL with commas between them"
        )
    names = [address.name for address in found]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"servers {', '.join(names)} of a shared tier: one is there twice; expected each once")
    return found


def _parse(url: str) -> list[Address]:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError(f"the URL of a shared tier cannot be read; {EXPECTED}") from None
    if parts.scheme not in SCHEMES:
        raise ConfigurationError(f"a shared tier has the unknown scheme {parts.scheme!r}; {EXPECTED}")
    query = _query(parts)
    options, timeout = _client_options(parts, query), parse_ttl(query.get("timeout", TIMEOUT))
    if parts.scheme == "unix":
        if not parts.path:
            raise ConfigurationError(f"a shared tier at unix:// has no path; {EXPECTED}")
        return [Address("servers", ((unquote(parts.path), 0),), timeout, options=options)]
    if query.get("sentinel"):
        return [_sentinels(parts, query, options, timeout)]
    hosts = _hosts(parts, PORT)
    if query.get("cluster") in TRUE:
        return [Address("cluster", hosts, timeout, options=options)]
    return [Address("servers", (host,), timeout, options=options) for host in hosts]


def _sentinels(parts: SplitResult, query: Mapping[str, str], options: Mapping[str, Any], timeout: float) -> Address:
    """User and password of the URL are those of the servers; sentinels have their own."""
    own = {name: query[f"sentinel_{name}"] for name in ("username", "password") if query.get(f"sentinel_{name}")}
    encrypted = {name: value for name, value in options.items() if name.startswith("ssl")}
    hosts = _hosts(parts, SENTINEL_PORT)
    return Address("sentinel", hosts, timeout, query["sentinel"], options, encrypted | own)


def _query(parts: SplitResult) -> dict[str, str]:
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not set(query) <= set(OPTIONS):  # not named: it may be the rest of a password
        raise ConfigurationError(
            f"the URL of a shared tier has an unknown option; expected some of {', '.join(OPTIONS)}, and %3F for a "
            "question mark, %2F for a slash and %40 for an at sign in a password"
        )
    return query


def _client_options(parts: SplitResult, query: Mapping[str, str]) -> dict[str, Any]:
    """What the client takes besides hosts and timeouts."""
    options: dict[str, Any] = {name: query[name] for name in TLS if name in query}
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = options["ssl_check_hostname"] in TRUE
    if SCHEMES[parts.scheme]:
        options["ssl"] = True
    elif options:
        raise ConfigurationError(f"option {min(options)!r} needs TLS; expected valkeys:// or rediss://")
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    options |= {"username": unquote(user)} if user else {}
    options |= {"password": unquote(password)} if password else {}
    options["db"] = _whole("db", query.get("db") or (parts.path.strip("/") if parts.scheme != "unix" else "") or "0")
    options["protocol"] = _whole("protocol", query.get("protocol", "3"))
    return options


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):  # not shown: it may be a part of a password
        raise ConfigurationError(
            f"{name} in the URL of a shared tier is no whole number; expected one, and %3A for a colon, %2F for a "
            "slash and %40 for an at sign in a password"
        )
    return int(text)


def _hosts(parts: SplitResult, port: int) -> tuple[tuple[str, int], ...]:
    return tuple(_host(text, port) for text in parts.netloc.rpartition("@")[2].split(","))


def _host(text: str, port: int) -> tuple[str, int]:
    """Host and port of `host`, `host:port` or `[::1]:port`."""
    host, colon, number = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, number = text, str(port)
    host = host.removeprefix("[").removesuffix("]")
    if not host:
        raise ConfigurationError(f"a shared tier has no host; {EXPECTED}")
    return host, _whole("port", number)
