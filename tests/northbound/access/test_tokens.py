# SPDX-License-Identifier: Apache-2.0
"""Tokens, certificates' names, grants and the throttle, as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import IntentError, Throttled, Unauthenticated
from vneter_sdn.model.access import Credential
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.access import tokens
from vneter_sdn.northbound.access.authorise import may
from vneter_sdn.northbound.access.doorkeeper import Doorkeeper
from vneter_sdn.northbound.access.identity import (
    LOCAL,
    NOBODY,
    ROLES,
    VERBS,
    Identity,
    grant_of,
    grants_from,
    grants_text,
)
from vneter_sdn.northbound.access.throttle import BURST, EVERY, Throttle
from vneter_sdn.northbound.wire.gateway import TRUSTED
from vneter_sdn.store.memory import MemoryStore

_ROLE = st.sampled_from(sorted(ROLES))
_TENANTS = st.sets(st.sampled_from(["red", "blue", "green"]))


def test_a_token_is_found_by_its_name_and_known_by_its_digest():
    token = tokens.fresh("ci")
    name, secret = tokens.split(token)
    assert (name, len(bytes.fromhex(secret))) == ("ci", 32)
    kept = tokens.digest(name, secret)
    assert secret not in kept
    assert tokens.matches(name, secret, kept)
    assert not tokens.matches("other", secret, kept)
    assert not tokens.matches(name, tokens.split(tokens.fresh("ci"))[1], kept)
    assert not tokens.matches(name, secret, None)
    assert not tokens.matches(name, secret, tokens.CERTIFICATE)


@given(st.text())
def test_any_text_is_a_token_or_none(text):
    found = tokens.split(text)
    assert found is None or text == f"vnt_{found[0]}_{found[1]}"


@pytest.mark.parametrize("name", ["", "-", "A", "a_b", "a" * 64, "CN=x", "a/b", "a\n", "ä", "a-"])
def test_no_name_of_a_token(name):
    with pytest.raises(IntentError, match="no name"):
        tokens.check_name(name)


@pytest.mark.parametrize("name", ["ada", "CN=", "DNS=x", "URI=a\nb", "CN= x", "CN=" + "x" * 201])
def test_no_name_of_a_certificate(name):
    with pytest.raises(IntentError, match="names no certificate"):
        tokens.check_subject(name)


def test_a_certificate_is_called_by_its_uri_or_else_by_its_common_name():
    certificate = {
        "subject": ((("organizationName", "x"),), (("commonName", "ada"),)),
        "subjectAltName": (("DNS", "d"), ("URI", "spiffe://x/ada")),
    }
    assert tokens.subject(certificate) == "URI=spiffe://x/ada"
    assert tokens.subject(certificate | {"subjectAltName": (("DNS", "d"),)}) == "CN=ada"
    assert tokens.subject({}) == ""


@given(_ROLE, _TENANTS, st.data())
def test_grants_are_written_and_read(role, tenants, data):
    verbs = data.draw(st.sets(st.sampled_from(sorted(ROLES[role]))))
    grant = grant_of(role, tenants, verbs)
    assert grants_from(grants_text([grant])) == (grant,)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "null", "[1]", '[{"role":"root","tenants":["*"]}]', '[{"role":"admin"}]',
     '[{"role":"admin","tenants":[]}]', '[{"role":"admin","tenants":[1]}]',
     '[{"role":"viewer","tenants":["*"],"verbs":["create"]}]',
     '[{"role":"viewer","tenants":["*"],"verbs":[]}]', '[{"role":[],"tenants":["*"]}]'],
)  # fmt: skip
def test_what_cannot_be_read_grants_nothing(text):
    assert grants_from(text) == ()


@given(_ROLE, _TENANTS, _ROLE, _TENANTS, st.sampled_from(VERBS))
def test_who_is_covered_may_do_nothing_more(role, tenants, other, others, verb):
    wide, narrow = grant_of(role, tenants), grant_of(other, others)
    if not wide.covers(narrow):
        return
    for key in (Key("Network", "red", "x"), Key("Tenant", "", "blue"), Key("Host", "", "h")):
        if may(Identity("n", "token", (narrow,)), verb, key):
            assert may(Identity("w", "token", (wide,)), verb, key)


def test_a_role_is_more_than_its_verbs():
    every = ROLES["editor"]
    assert grant_of("admin", ["red"], every).covers(grant_of("editor", ["red"]))
    assert not grant_of("editor", ["red"]).covers(grant_of("admin", ["red"], every))
    assert not grant_of("editor", ["red"]).covers(grant_of("editor", ["red", "blue"]))
    assert not grant_of("editor", ["red"]).covers(grant_of("editor"))


def test_nobody_may_nothing_and_the_administrator_everything():
    keys = (Key("Network", "red", "x"), Key("Tenant", "", "red"), Key("Tier", "", "t"))
    assert not any(may(NOBODY, verb, key) for verb in VERBS for key in keys)
    assert all(may(LOCAL, verb, key) for verb in VERBS for key in keys)


def test_no_such_role_and_no_such_verb_of_it():
    with pytest.raises(IntentError, match="viewer, editor, admin"):
        grant_of("root")
    with pytest.raises(IntentError, match="viewer does not have create"):
        grant_of("viewer", (), ("get", "create"))


class Clock:
    """Time that stands still."""

    now = 1_800_000_000.0

    def __call__(self):
        return self.now


def test_failures_are_let_pass_for_a_while_and_then_more_slowly():
    clock = Clock()
    throttle = Throttle(clock)
    assert [throttle.failed("a") for _ in range(BURST)] == [0.0] * BURST
    assert throttle.failed("a") == pytest.approx(EVERY)
    assert throttle.failed("b") == 0.0
    clock.now += EVERY
    assert throttle.failed("a") == 0.0
    assert throttle.failed("a") > 0
    clock.now += BURST * EVERY
    assert [throttle.failed("a") for _ in range(BURST)] == [0.0] * BURST


def _keeper(*credentials):
    store, clock = MemoryStore(), Clock()
    for one in credentials:
        store.issue(one)
    return Doorkeeper(store, clock=clock, throttle=Throttle(clock)), store, clock


def _token(name="ci", expires=None):
    token = tokens.fresh(name)
    grants = grants_text([grant_of("viewer", ["red"])])
    return token, Credential(name, tokens.digest(*tokens.split(token)), grants, expires=expires)


def _asks(token):
    return {"HTTP_AUTHORIZATION": f"Bearer {token}", "REMOTE_ADDR": "192.0.2.1"}


def test_who_shows_a_token_is_known():
    token, kept = _token()
    keeper, store, _ = _keeper(kept)
    found = keeper.identify(_asks(token))
    assert (found.name, found.via, found.grants) == (
        "token:ci",
        "token",
        (grant_of("viewer", ["red"]),),
    )
    assert keeper.still(found)
    assert token not in repr(found)
    assert kept.digest not in repr(found)
    store.revoke("ci")
    assert not keeper.still(found)
    _, other = _token()
    store.issue(other)
    assert not keeper.still(found)
    with pytest.raises(Unauthenticated):
        keeper.identify(_asks(token))


@pytest.mark.parametrize("expires", ["2026-11-22T00:00:00Z", "soon"])
def test_a_token_that_expired(expires):
    token, kept = _token(expires=expires)
    keeper, _, _ = _keeper(kept)
    with pytest.raises(Unauthenticated, match="expired"):
        keeper.identify(_asks(token))


def test_a_token_expires_while_it_is_used():
    token, kept = _token(expires="2027-01-15T08:00:01Z")
    keeper, _, clock = _keeper(kept)
    found = keeper.identify(_asks(token))
    assert keeper.still(found)
    clock.now += 2
    assert not keeper.still(found)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer vnt_ci_00",
                                    "Bearer vnt_ci_" + "0" * 64, "Bearer vnt_x_" + "0" * 64,
                                    "Bearer CN=ada", "x" * 10_000])  # fmt: skip
def test_a_credential_that_is_not_accepted_is_refused_even_where_none_is_needed(header):
    certificate = Credential("CN=ada", tokens.CERTIFICATE, grants_text([grant_of("admin")]))
    keeper, _, _ = _keeper(_token()[1], certificate)
    with pytest.raises(Unauthenticated):
        keeper.identify({"HTTP_AUTHORIZATION": header, "REMOTE_ADDR": "::1", TRUSTED: True})


def test_who_fails_too_often_waits_and_who_does_not_fail_does_not():
    token, kept = _token()
    keeper, _, _ = _keeper(kept)
    for _ in range(BURST):
        with pytest.raises(Unauthenticated):
            keeper.identify(_asks("vnt_ci_" + "0" * 64))
    with pytest.raises(Throttled) as late:
        keeper.identify(_asks("vnt_ci_" + "0" * 64))
    assert late.value.retry_after >= 1
    assert keeper.identify(_asks(token)).via == "token"
    assert (keeper.results["refused"], keeper.results["throttled"]) == (BURST + 1, 1)


def test_a_network_of_ipv6_counts_as_one():
    keeper, _, _ = _keeper()
    bad = {"HTTP_AUTHORIZATION": "Bearer x"}
    for number in range(BURST):
        with pytest.raises(Unauthenticated):
            keeper.identify(bad | {"REMOTE_ADDR": f"2001:db8::{number}"})
    with pytest.raises(Throttled):
        keeper.identify(bad | {"REMOTE_ADDR": "2001:db8::ffff"})
    with pytest.raises(Unauthenticated):
        keeper.identify(bad | {"REMOTE_ADDR": "2001:db8:0:1::1"})


def test_trust_is_only_the_doors_to_say():
    keeper, _, _ = _keeper()
    assert keeper.identify({TRUSTED: True}) is LOCAL
    for environ in ({}, {TRUSTED: "yes"}, {TRUSTED: 1}, {"HTTP_VNETER_TRUSTED": "1"}):
        assert keeper.identify(environ) is NOBODY


def test_a_certificate_is_somebody_once_something_was_granted_to_it():
    kept = Credential("CN=ada", tokens.CERTIFICATE, grants_text([grant_of("editor", ["red"])]))
    keeper, store, clock = _keeper(kept)
    certificate = {"subject": ((("commonName", "ada"),),), "notAfter": "Jan 15 08:00:01 2027 GMT"}
    asks = {"vneter.certificate": certificate}
    assert keeper.identify(asks).name == "certificate:CN=ada"
    clock.now += 2
    with pytest.raises(Unauthenticated, match="expired"):
        keeper.identify(asks)
    clock.now -= 2
    store.revoke("CN=ada")
    assert keeper.identify(asks) is NOBODY
    secret = tokens.digest("CN=ada", "0" * 64)
    store.issue(Credential("CN=ada", secret, grants_text([grant_of("admin")])))
    assert keeper.identify(asks) is NOBODY  # a token's row is no certificate's


@pytest.mark.parametrize(
    ("uris", "names", "found"),
    [
        (("spiffe://x/ada",), ("root",), "certificate:URI=spiffe://x/ada"),
        (("spiffe://x/eve",), ("root",), "nobody"),
        (("spiffe://x/eve", "spiffe://x/ada"), (), "nobody"),
        ((), ("eve", "root"), "nobody"),
        ((), ("root", "eve"), "nobody"),
        ((), ("root\0.eve",), "nobody"),
        ((), ("ROOT",), "nobody"),
        ((), ("root",), "certificate:CN=root"),
    ],
)
def test_a_certificate_has_one_name(uris, names, found):
    """Whoever signs what clients ask for may look at one of its names alone."""
    root = Credential("CN=root", tokens.CERTIFICATE, grants_text([grant_of("admin")]))
    ada = Credential("URI=spiffe://x/ada", tokens.CERTIFICATE, grants_text([grant_of("viewer")]))
    keeper, _, _ = _keeper(root, ada)
    shown = {
        "subject": tuple((("commonName", name),) for name in names),
        "subjectAltName": (("DNS", "root"), ("email", "root"), *(("URI", uri) for uri in uris)),
    }
    assert keeper.identify({"vneter.certificate": shown}).name == found
