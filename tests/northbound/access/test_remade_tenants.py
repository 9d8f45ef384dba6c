# SPDX-License-Identifier: Apache-2.0
"""A tenant that is deleted and made again is another one: what was granted in the first ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vneter_sdn.config import Settings
from vneter_sdn.errors import Unauthenticated
from vneter_sdn.model.access import Credential
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.access import tokens
from vneter_sdn.northbound.access.doorkeeper import Doorkeeper
from vneter_sdn.northbound.access.identity import grants_from
from vneter_sdn.northbound.rest.app import create_app
from vneter_sdn.northbound.wire.gateway import TRUSTED
from vneter_sdn.store.memory import MemoryStore


def manifest(kind: str, name: str, tenant: str = "", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"tenant": tenant} if tenant else {})}
    return {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


RED = [{"kind": "Tenant", "name": "red"}]


class Root:
    """This machine's administrator."""

    def __init__(self, store: MemoryStore) -> None:
        self.keeper = Doorkeeper(store)
        settings = Settings(api_read_rate=0, api_write_rate=0)
        app = create_app(store, settings, doorkeeper=self.keeper)
        self.client, self.store = app.test_client(), store

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Ask as the administrator."""
        given = {} if body is None else {"json": body}
        return self.client.open(path, method=method, environ_overrides={TRUSTED: True}, **given)

    def made(self, *names: str, message: str = "") -> int:
        """Make tenants; the revision."""
        tenants = [manifest("Tenant", name) for name in names]
        done = self("POST", "/v1/apply", {"objects": tenants, "message": message})
        assert done.status_code == 200, done.json
        return int(done.json["revision"])

    def remake(self) -> None:
        """Delete red and make it again."""
        assert self("POST", "/v1/apply", {"delete": RED}).status_code == 200
        self.made("red")

    def issued(self, name: str, *tenants: str, role: str = "admin") -> str:
        """A token."""
        asked = {"name": name, "role": role, "tenants": list(tenants)}
        done = self("POST", "/v1/tokens", asked)
        assert done.status_code == 201, done.json
        return str(done.json["token"])

    def by(self, token: str, method: str, path: str, body: Any = None) -> Any:
        """Ask with a token."""
        given = {} if body is None else {"json": body}
        headers = {"Authorization": f"Bearer {token}"}
        return self.client.open(path, method=method, headers=headers, **given)


@pytest.fixture
def root(store: MemoryStore) -> Root:
    asker = Root(store)
    asker.made("red", "blue")
    return asker


def test_a_token_dies_with_its_tenant(root: Root) -> None:
    token = root.issued("ci", "red")
    path = "/v1/tenants/red/networks"
    assert root.by(token, "GET", path).status_code == 200
    root("POST", "/v1/apply", {"delete": RED})
    assert root.by(token, "GET", path).status_code == 401
    root.made("red")
    for method, where, body in (
        ("GET", path, None),
        ("POST", path, manifest("Network", "web", "red", prefixes=["10.0.0.0/24"])),
        ("POST", "/v1/tokens", {"name": "more", "role": "viewer", "tenants": ["red"]}),
        ("GET", "/v1/watch?timeout=0", None),
    ):
        answer = root.by(token, method, where, body)
        assert (answer.status_code, "tenants that are no more" in answer.text) == (401, True)
    assert root.by(root.issued("new", "red"), "GET", path).status_code == 200


def test_what_counts_elsewhere_goes_on_there(root: Root) -> None:
    token = root.issued("ci", "red", "blue")
    root.remake()
    assert root.by(token, "GET", "/v1/tenants/blue/networks").status_code == 200
    assert root.by(token, "GET", "/v1/tenants/red/networks").status_code == 403
    assert root.by(token, "GET", "/v1/whoami").json["grants"] == [
        {"role": "admin", "tenants": ["blue"]}
    ]
    wide = {"name": "wide", "role": "viewer", "tenants": ["red"]}
    assert root.by(token, "POST", "/v1/tokens", wide).status_code == 403


def test_what_was_begun_ends(root: Root, store: MemoryStore) -> None:
    token = root.issued("ci", "red", "blue")
    found = root.keeper.identify({"HTTP_AUTHORIZATION": f"Bearer {token}"})
    assert root.keeper.still(found)
    root.remake()
    assert not root.keeper.still(found)


def test_a_certificate_too(root: Root) -> None:
    asked = {"name": "CN=ada", "certificate": True, "role": "viewer", "tenants": ["red"]}
    assert root("POST", "/v1/tokens", asked).status_code == 201
    shown = {"vneter.certificate": {"subject": ((("commonName", "ada"),),)}}
    assert root.keeper.identify(shown).name == "certificate:CN=ada"
    root.remake()
    with pytest.raises(Unauthenticated, match="no more"):
        root.keeper.identify(shown)


def test_a_change_of_the_tenant_is_no_other_tenant(root: Root) -> None:
    token = root.issued("ci", "red")
    described = manifest("Tenant", "red") | {"metadata": {"name": "red", "labels": {"a": "b"}}}
    assert root("PUT", "/v1/tenants/red", described).status_code == 200
    assert root.by(token, "GET", "/v1/tenants/red").status_code == 200


def test_rolling_the_deletion_back_revives_no_token(root: Root, store: MemoryStore) -> None:
    token = root.issued("ci", "red")
    before = store.snapshot().revision
    root("POST", "/v1/apply", {"delete": RED})
    assert root("POST", f"/v1/revisions/{before}/rollback", {}).status_code == 200
    assert Key("Tenant", "", "red") in store.snapshot().objects
    assert root.by(token, "GET", "/v1/tenants/red").status_code == 401


def test_nothing_is_granted_in_a_tenant_that_is_not_there(root: Root, store: MemoryStore) -> None:
    asked = {"name": "ci", "role": "viewer", "tenants": ["red", "gren"]}
    answer = root("POST", "/v1/tokens", asked)
    assert answer.status_code == 422
    assert (answer.json["errors"][0]["field"], "gren" in answer.text) == ("tenants", True)
    assert store.credentials() == ()


def test_what_is_there_and_what_is_not_are_refused_alike(root: Root) -> None:
    token = root.issued("ci", "red")
    for tenant in ("blue", "gren"):
        asked = {"name": "x", "role": "viewer", "tenants": [tenant]}
        answer = root.by(token, "POST", "/v1/tokens", asked)
        assert (answer.status_code, tenant in answer.text) == (403, False)


def test_a_list_says_where_a_credential_counts_no_more(root: Root) -> None:
    root.issued("ci", "red", "blue")
    assert "gone" not in root("GET", "/v1/tokens").json["items"][0]["grants"][0]
    root.remake()
    (found,) = root("GET", "/v1/tokens").json["items"]
    assert found["grants"] == [{"role": "admin", "tenants": ["blue", "red"], "gone": ["red"]}]
    owner = root.issued("owner", "red")
    assert root.by(owner, "DELETE", "/v1/tokens?name=ci").status_code == 404  # blue's as well
    old = root.issued("old", "red")
    assert root.by(owner, "DELETE", "/v1/tokens?name=old").status_code == 200
    assert root.by(old, "GET", "/v1/whoami").status_code == 401


def test_the_history_of_the_tenant_before_is_not_the_new_ones(root: Root) -> None:
    web = manifest("Network", "oldweb", "red", prefixes=["10.0.0.0/24"])
    before = root("POST", "/v1/apply", {"objects": [web], "message": "of the old"}).json["revision"]
    gone = {"delete": [{"kind": "Network", "tenant": "red", "name": "oldweb"}, *RED]}
    assert root("POST", "/v1/apply", gone).status_code == 200
    born = root.made("red", message="of the new")
    token = root.issued("ci", "red")
    found = root.by(token, "GET", "/v1/revisions").json["items"]
    assert [(one["number"], one["message"]) for one in found] == [(born, "of the new")]
    assert root.by(token, "GET", f"/v1/revisions/{before}").status_code == 404
    about = root.by(token, "GET", "/v1/revisions?object=Network%20red/oldweb").json["items"]
    assert about == []
    assert "oldweb" not in json.dumps(root.by(token, "GET", f"/v1/revisions/{born}").json)
    assert len(root("GET", "/v1/revisions").json["items"]) == 4


def test_who_has_it_for_a_while_does_not_give_it_for_longer(root: Root) -> None:
    def asked(name: str, ends: str | None, *tenants: str) -> dict[str, Any]:
        return {"name": name, "role": "admin", "tenants": list(tenants), "expires": ends}

    def issued(name: str, *tenants: str) -> str:
        told = root("POST", "/v1/tokens", asked(name, "2999-01-02T00:00:00Z", *tenants))
        return str(told.json["token"])

    token = issued("ci", "red")
    for ends in (None, "2999-01-02T00:00:01Z", "2999-01-02T00:00:00-01:00"):
        answer = root.by(token, "POST", "/v1/tokens", asked("more", ends, "red"))
        assert (answer.status_code, "2999-01-02" in answer.text) == (422, True)
        assert answer.json["errors"][0]["field"] == "expires"
    ends = "2999-01-02T01:00:00+01:00"
    assert root.by(token, "POST", "/v1/tokens", asked("more", ends, "red")).status_code == 201
    whole = issued("root")  # of the whole cluster: its tokens are replaced with their own help
    assert root.by(whole, "POST", "/v1/tokens", asked("next", None)).status_code == 201


@pytest.mark.parametrize("uids", ['"x"', "[1]", '{"red": 1}', "null"])
def test_uids_that_cannot_be_read_grant_nothing(uids: str) -> None:
    assert grants_from(f'[{{"role":"viewer","tenants":["red"],"uids":{uids}}}]') == ()


def test_a_grant_of_a_release_before_goes_by_name(root: Root, store: MemoryStore) -> None:
    token = tokens.fresh("old")
    grants = '[{"role":"viewer","tenants":["red"]}]'
    store.issue(Credential("old", tokens.digest(*(tokens.split(token) or ("", ""))), grants))
    assert root.by(token, "GET", "/v1/tenants/red").status_code == 200
