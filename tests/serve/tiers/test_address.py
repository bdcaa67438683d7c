"""Addresses of shared tiers: every form, and no secret in anything that can be shown."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from forecache.errors import ConfigurationError, DurationError
from forecache.serve.tiers.address import parse_addresses
from forecache.serve.tiers.clients import clients_for
from forecache.serve.tiers.valkey import ValkeyTier

PASSWORD = "h:u/n?t@e%r"  # noqa: S105 - of nobody
ENCODED = "h%3Au%2Fn%3Ft%40e%25r"


@pytest.mark.parametrize(
    ("urls", "names"),
    [
        ("valkey://host", ["host:6379"]),
        ("redis://host:1/2", ["host:1"]),
        ("valkeys://[::1]:7", ["::1:7"]),
        ("rediss://[::1]", ["::1:6379"]),
        ("unix:///run/valkey.sock?db=3", ["/run/valkey.sock"]),
        ("valkey://one,two:2", ["one:6379", "two:2"]),
        (["valkey://one", "valkey://two"], ["one:6379", "two:6379"]),
        ("valkey://one,two?cluster=1", ["cluster one:6379,two:6379"]),
        ("valkey://one,two/0?sentinel=main", ["main of one:26379,two:26379"]),
    ],
)
def test_every_form_is_understood(urls: Any, names: list[str]) -> None:
    assert [address.name for address in parse_addresses(urls)] == names


def client_options(url: str) -> dict[str, Any]:
    client = clients_for(parse_addresses(url)[0]).for_threads
    assert client
    options: dict[str, Any] = client().connection_pool.connection_kwargs
    return options


def test_what_a_url_says_reaches_the_client() -> None:
    options = client_options(f"valkey://ann:{ENCODED}@host:1/2?timeout=1.5s&protocol=2")
    names = ("host", "port", "db", "username", "password", "socket_timeout", "socket_connect_timeout", "protocol")
    assert [options[name] for name in names] == ["host", 1, 2, "ann", PASSWORD, 1.5, 1.5, 2]


def test_certificates_and_host_names_are_checked_unless_told_otherwise() -> None:
    client = clients_for(parse_addresses("valkeys://host?ssl_ca_certs=/ca.pem")[0]).for_threads
    assert client
    made = client().connection_pool.make_connection()
    assert (made.check_hostname, made.cert_reqs, made.ca_certs) == (True, ssl.CERT_REQUIRED, "/ca.pem")


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        ("http://host", "unknown scheme 'http'"),
        ("host:6379", "unknown scheme 'host'"),
        ("valkey://", "has no host"),
        ("unix://", "has no path"),
        ("valkey://host:port", "port in the URL of a shared tier is no whole number"),
        ("valkey://host/name", "db in the URL of a shared tier is no whole number"),
        ("valkey://host?colour=red", "unknown option; expected some of cluster, db, protocol"),
        ("valkey://host?ssl_ca_certs=x", "needs TLS; expected valkeys:// or rediss://"),
        ("valkey://[host", "cannot be read"),
        ([], "0 addresses of a shared tier"),
        (["valkey://a?cluster=1", "valkey://b?cluster=1"], "in one URL with commas between them"),
        ("valkey://a,b,a", "one is there twice"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_is_expected(urls: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message.replace("?", r"\?")):
        parse_addresses(urls)


def test_a_timeout_is_a_duration_above_zero() -> None:
    with pytest.raises(DurationError):
        parse_addresses("valkey://host?timeout=soon")
    with pytest.raises(DurationError):
        ValkeyTier.connect("valkey://host", timeout=0)


@pytest.mark.parametrize("scheme", ["valkey", "redis", "valkeys", "rediss"])
@pytest.mark.parametrize("rest", ["host", "host?cluster=1", "host?sentinel=main&sentinel_password=" + ENCODED])
def test_no_password_is_shown(scheme: str, rest: str) -> None:
    url = f"{scheme}://ann:{ENCODED}@{rest}"
    tier = ValkeyTier.connect(url)
    for shown in (repr(tier), tier.name, repr(parse_addresses(url))):
        assert PASSWORD not in shown
        assert ENCODED not in shown


@pytest.mark.parametrize("password", ["s3c/ret", "s3c?ret", "s3c:ret", "s3c[ret", "s3c#ret", "s3c,ret", "s3c ret"])
def test_no_part_of_a_password_that_should_have_been_encoded_is_shown(password: str) -> None:
    url = f"valkey://ann:{password}@host:6379"
    try:
        shown = repr(parse_addresses(url))
    except ConfigurationError as error:
        shown = str(error)
    assert "s3c" not in shown
    assert "ret" not in shown.replace("secret", "")


def test_clients_that_decode_are_refused() -> None:
    import valkey

    with pytest.raises(ConfigurationError, match="expected one with decode_responses=False"):
        ValkeyTier.over(valkey.Valkey(decode_responses=True))
    with pytest.raises(ConfigurationError, match="was given no client"):
        ValkeyTier.over()


def test_a_tier_without_a_client_for_threads_says_so() -> None:
    import valkey.asyncio

    tier = ValkeyTier.over(async_client=valkey.asyncio.Valkey())
    with pytest.raises(ConfigurationError, match="was given no client for threads"):
        tier.read("t", [b"i1"])
