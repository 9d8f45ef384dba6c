# SPDX-License-Identifier: Apache-2.0
"""Typed objects, pages, and who the server takes us for."""

from __future__ import annotations

import pytest

from vneter_sdn.client import Client, Tls
from vneter_sdn.errors import Conflict, IntentError, NotFound
from vneter_sdn.model.kinds import EndpointSpec, NetworkSpec, TenantSpec
from vneter_sdn.model.scalars import Spec
from vneter_sdn.model.snapshot import Condition, Key, Status


@pytest.fixture
def red(client, make):
    client.apply([
        make("Tenant", "red", labels={"tier": "gold"}),
        make("Network", "web", {"prefixes": ["10.0.0.0/16"]}, tenant="red"),
        *(make("Endpoint", f"e{n:03}", {"network": "web"}, tenant="red") for n in range(25)),
    ])  # fmt: skip


def test_objects_are_of_their_kind(client, red, store):
    key = Key("Network", "red", "web")
    ready = Condition("Ready", "True", "Programmed")
    store.report([Status(key, observed_revision=1, conditions=(ready,), details={"x": 1})])
    item = client.read(NetworkSpec, "web", tenant="red")
    assert item.key == key
    assert isinstance(item.spec, NetworkSpec)
    assert item.spec.prefixes == ("10.0.0.0/16",)
    assert item.spec.mtu == NetworkSpec(prefixes=()).mtu
    assert (item.revision, item.stored.created != "") == (1, True)
    assert (item.condition("Ready") or ready).status == "True"
    assert item.condition("Nothing") is None
    assert item.status.observed_revision == 1
    assert item.manifest["spec"]["prefixes"] == ["10.0.0.0/16"]
    assert [one.spec for one in client.read_all(TenantSpec, selector="tier=gold")] == [TenantSpec()]
    with pytest.raises(NotFound):
        client.read(NetworkSpec, "none", tenant="red")
    with pytest.raises(KeyError):
        client.read(Spec, "x")


def test_lists_come_in_pages_of_one_instant(client, red, make):
    pages = client.pages("ep", page=10)
    first = next(pages)
    client.apply([make("Endpoint", "zzz", {"network": "web"}, tenant="red")])
    rest = list(pages)
    assert [len(page.items) for page in (first, *rest)] == [10, 10, 5]
    assert {page.revision for page in (first, *rest)} == {1}
    assert len(client.list("ep")) == 26
    names = [one.key.name for one in client.read_all(EndpointSpec, "red")]
    assert names == sorted(names)
    assert len(client.list("ep", fields="metadata.name=zzz")) == 1


def test_what_others_changed_is_not_overwritten(client, red):
    mine = client.get("Tenant", "", "red")
    theirs = dict(mine, metadata={**mine["metadata"], "labels": {"tier": "iron"}})
    client.apply([theirs])
    with pytest.raises(Conflict):
        client.apply([mine])


def test_a_token_goes_where_nobody_can_read_it():
    for server in ("https://sdn.example.com", "http://127.0.0.1:1", "http://localhost", "unix:/x"):
        Client(server, token="abc")
    for server in ("http://sdn.example.com", "http://10.0.0.1:8181", "http://localhost.evil.net"):
        with pytest.raises(IntentError, match="use https"):
            Client(server, token="abc")
    for token in ("a b", "a\r\nX-Evil: 1", "ключ", "a\0"):
        with pytest.raises(IntentError, match="printable"):
            Client(token=token)


@pytest.mark.parametrize(
    "server",
    ["https://", "https://a/b", "https://a?x=1", "https://u:p@a", "http://ключ", "http://a:99999"],
)
def test_addresses_that_are_none(server):
    with pytest.raises(IntentError, match="is not http"):
        Client(server)


def test_certificates_that_are_none(tmp_path):
    file = tmp_path / "ca.pem"
    client = Client("https://127.0.0.1:1", tls=Tls(ca=str(file)))
    with pytest.raises(IntentError, match=r"ca\.pem"):
        client.status()
    file.write_text("no certificate")
    with pytest.raises(IntentError, match="cannot be used"):
        client.status()
