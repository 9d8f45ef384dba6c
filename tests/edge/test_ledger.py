# SPDX-License-Identifier: Apache-2.0
"""Who asks, and what they have: the same, whether followed or read anew."""

from ipaddress import ip_address

from asking import GATEWAY_MAC, MAC, two_tenants
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.edge.ledger import Ledger, is_domain
from vneter_sdn.model.snapshot import Delta, Key


def test_an_asker_is_known_by_network_and_mac():
    ledger = two_tenants().ledger()
    red = ledger.asker(100, MAC)
    assert (red.key, red.network) == (Key("Endpoint", "red", "web"), Key("Network", "red", "net"))
    assert (red.domain, red.mac, red.host) == ("red.example", MAC, "h1")
    assert (red.own(4), red.own(6)) == (ip_address("10.0.0.9"), ip_address("fd00::9"))
    assert (red.gateway_mac, red.gateway(4)) == (GATEWAY_MAC, ip_address("10.0.0.1"))
    assert str(red.prefix(6)) == "fd00::/64"
    assert ledger.asker(101, MAC).key.tenant == "blue"
    assert ledger.asker(100, 5) is None
    assert ledger.asker(999, MAC) is None
    assert ledger.asker(100, GATEWAY_MAC) is None, "a gateway asks nobody"


def test_what_rests_is_nobodys():
    store = two_tenants()
    store.hold("address/red/net/10.0.0.0/24", "10.0.0.9", "Endpoint red/web", released=5.0)
    assert [one.version for one in store.ledger().asker(100, MAC).addresses] == [6]
    assert store.ledger().owner("red", ip_address("10.0.0.9")) is None


def reading(ledger):
    """All there is to read."""
    askers = [ledger.asker(vni, mac) for vni in (100, 101, 200) for mac in (MAC, MAC + 1, MAC + 2)]
    owners = [
        ledger.owner(tenant, ip_address(f"10.0.0.{n}"))
        for tenant in ("red", "blue")
        for n in (1, 9, 10, 77, 78)
    ]
    networks = [sorted(ledger.networks(tenant)) for tenant in ("red", "blue")]
    return askers, owners, networks, sorted(ledger.prefixes("red"))


def _delete(store, tenant, name):
    key = Key("Endpoint", tenant, name)
    store.objects.pop(key, None)
    store.allocations = {at: one for at, one in store.allocations.items() if one.owner != str(key)}


def _drop(store, tenant, name):
    store.objects.pop(Key("Network", tenant, name), None)


def _add(store, tenant, name):
    if Key("Network", tenant, "net") in store.objects:
        store.endpoint(tenant, name, "net", MAC + 1, "10.0.0.78")


def _readdress(store, tenant, name):
    """It is deleted, and comes back with another address."""
    _delete(store, tenant, name)
    if Key("Network", tenant, "net") in store.objects:
        store.endpoint(tenant, name, "net", MAC, "10.0.0.78")


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(
            [
                (_delete, "web"),
                (_delete, "x.y"),
                (_add, "new"),
                (_drop, "net"),
                (_readdress, "web"),
            ]
        ),
        st.sampled_from(["red", "blue"]),
    ),
    max_size=6,
)


@given(CHANGES)
def test_following_is_reading_anew(changes):
    store = two_tenants()
    followed = store.ledger()
    before = store.snapshot()
    for (change, name), tenant in changes:
        change(store, tenant, name)
        now = store.snapshot()
        objects = {
            k
            for k in {*before.objects, *now.objects}
            if before.objects.get(k) != now.objects.get(k)
        }
        held = {
            k
            for k in {*before.allocations, *now.allocations}
            if before.allocations.get(k) != now.allocations.get(k)
        }
        followed.stored(now, Delta(frozenset(objects), frozenset(held)))
        anew = Ledger()
        anew.stored(now, None)
        assert reading(followed) == reading(anew)
        before = now


def test_domains():
    assert is_domain("a.b-c.example")
    assert not any(map(is_domain, ("", "a..b", "." * 3, "a" * 64, ".".join(["a" * 50] * 6))))
