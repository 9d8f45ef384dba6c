# SPDX-License-Identifier: Apache-2.0
"""Bad input through every door that takes any: a 4xx problem, and nothing is changed."""

from __future__ import annotations

import http.client
import json

import pytest

from vneter_sdn.northbound.patches import JSON_PATCH, MERGE_PATCH

_JSON = "application/json"
_WEB = "/v1/tenants/red/networks/web"
_DOORS = {
    "apply": ("POST", "/v1/apply", _JSON),
    "create": ("POST", "/v1/tenants/red/networks", _JSON),
    "put": ("PUT", _WEB, _JSON),
    "merge": ("PATCH", _WEB, MERGE_PATCH),
    "patch": ("PATCH", _WEB, JSON_PATCH),
    "inject": ("POST", "/v1/inject", _JSON),
    "tokens": ("POST", "/v1/tokens", _JSON),
}
_DEEP = b'{"spec":' * 33 + b"1" + b"}" * 33


@pytest.fixture(params=_DOORS)
def door(request):
    return _DOORS[request.param]


@pytest.fixture(autouse=True)
def before(rest, store, red):
    assert rest.post("/v1/apply", json={"objects": red}).status_code == 200
    snapshot = store.snapshot()
    yield
    assert store.snapshot() is snapshot


def _refused(answer, *statuses):
    assert answer.status_code in statuses, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == answer.status_code
    return answer.json


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "MalformedJson"),
        (b"null and void", "MalformedJson"),
        (b"\xef\xbb\xbf{}", "MalformedJson"),
        (b'{"spec": "\xff"}', "InvalidEncoding"),
        (b"\x00{}", "MalformedJson"),
        (b'{"spec": {"description": "\\u0000"}}', "InvalidText"),
        (b'{"\\u0000": 1}', "InvalidText"),
        (b'{"spec": {"description": "\\udc00"}}', "InvalidText"),
        (b'{"spec": {}, "spec": {}}', "DuplicateKey"),
        (b'[{"op": "add", "op": "remove", "path": "/a"}]', "DuplicateKey"),
        (b'{"spec": 1e400}', "InvalidNumber"),
        (b'{"spec": -Infinity}', "InvalidNumber"),
        (b'{"spec": ' + b"9" * 5000 + b"}", "InvalidNumber"),
        (_DEEP, "TooDeep"),
        (b"[" * 100_000, "TooDeep"),
    ],
)
def test_bytes_that_are_no_json_of_ours(rest, door, data, reason):
    method, path, media = door
    body = _refused(rest.open(path, method=method, data=data, content_type=media), 400)
    assert [error["reason"] for error in body["errors"]] == [reason]


@pytest.mark.parametrize(
    "value", [None, True, 5, -0.0, 10**40, "x", [], [[]], [5], {"": {}}, {"\U0001f9c0": []}]
)
def test_json_that_says_something_else(rest, door, value):
    method, path, media = door
    answer = rest.open(path, method=method, data=json.dumps(value), content_type=media)
    if media == JSON_PATCH and value == []:
        assert answer.status_code == 200  # nothing was asked for
        return
    body = _refused(answer, 422)
    assert all({"reason", "message", "pointer"} <= error.keys() for error in body["errors"])


@pytest.mark.parametrize(
    "media",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=utf-16",
        "application/merge-patch+json; charset=latin-1",
        "application/jsonp",
        "application/json, application/merge-patch+json",
        "a" * 8000,
    ],
)
def test_bodies_that_are_called_otherwise(rest, door, media):
    method, path, _ = door
    _refused(rest.open(path, method=method, data=b"{}", headers={"Content-Type": media}), 415)


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x"])
def test_bodies_that_are_packed(rest, door, coding):
    method, path, media = door
    headers = {"Content-Type": media, "Content-Encoding": coding}
    _refused(rest.open(path, method=method, data=b"{}", headers=headers), 415)


def test_a_patch_is_no_manifest_and_a_manifest_no_patch(rest, door):
    method, path, _ = door
    other = _JSON if method == "PATCH" else MERGE_PATCH
    _refused(rest.open(path, method=method, data=b"{}", content_type=other), 415)


@pytest.mark.parametrize(
    "query",
    ["x=1", "dryRun=", "dryRun=1", "dryRun=True", "dryRun=true&dryRun=true", "=", "%00=1", "%ff=1"],
)
def test_queries_that_no_write_takes(rest, door, query):
    method, path, media = door
    answer = rest.open(f"{path}?{query}", method=method, data=b"{}", content_type=media)
    assert _refused(answer, 400)["errors"][0]["object"] == "query"


@pytest.mark.parametrize("name", ["Idempotency-Key", "If-Match", "X-Vneter-Author"])
@pytest.mark.parametrize("value", ["x" * 5000, "\x7f", "é" * 300, "\x01"])
def test_headers_that_are_absurd(rest, name, value):
    _refused(rest.put(_WEB, json={"spec": {}}, headers={name: value}), 400)


@pytest.mark.parametrize(
    "number", ["1_0", " 5", "+5", "0x5", "\u0665", "5.0", "1e2", "05", "9" * 30, "-0x1", "\uff15"]
)
def test_integers_are_as_json_writes_them(rest, number):
    answer = rest.get("/v1/tenants", query_string={"limit": number})
    assert _refused(answer, 400)["errors"][0]["field"] == "limit"


@pytest.mark.parametrize(
    "number", ["inf", "nan", "1_0", "+1", ".5", "5.", "\u0665", "1e999", "-1", "x"]
)
def test_numbers_are_as_json_writes_them(rest, number):
    answer = rest.get(_WEB, query_string={"waitFor": "Ready", "timeout": number})
    assert _refused(answer, 400)["errors"][0]["field"] == "timeout"


@pytest.mark.parametrize(
    "name",
    ["%00", "%ff", "%c0%af", "%2e%2e", "..%2f..", "a%2fb", "x" * 5000, "%F0%9F%A7%80", "%20"],
)
def test_names_that_nothing_has(rest, name):
    for path in (f"/v1/tenants/{name}", f"/v1/tenants/{name}/networks/web", f"/v1/hosts/{name}"):
        _refused(rest.get(path), 404)
        _refused(rest.delete(path), 404)
    _refused(rest.put(f"/v1/tenants/{name}", json={"spec": {}}), 404, 422)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "FOO", "PATCH"])
def test_methods_that_a_path_has_not(rest, method):
    for path in ("/v1/tenants", "/v1/apply", "/healthz", "/docs"):
        answer = rest.open(path, method=method)
        if method != "get":  # the test client writes it large
            _refused(answer, 405)
            assert answer.headers["Allow"]


def test_a_method_is_what_the_request_line_says(rest):
    headers = {"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE", "X-Method": "DELETE"}
    assert rest.get(f"{_WEB}?timeout=0", headers=headers).status_code == 200
    _refused(rest.post(_WEB, json={}, headers=headers), 405)


def test_what_is_forwarded_is_not_believed(rest):
    headers = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1", "X-Original-URL": "/x",
               "X-Rewrite-URL": "/x", "X-Forwarded-Host": "evil.example"}  # fmt: skip
    assert rest.get(_WEB, headers=headers).json["metadata"]["name"] == "web"


def test_bodies_of_reads_are_not_looked_at(rest):
    assert rest.get(_WEB, data=b"\xff" * 1000, content_type=_JSON).status_code == 200


@pytest.mark.parametrize(
    "line",
    [
        "GET /v1/tenants?labelSelector=%GG HTTP/1.1",
        "GET /v1/tenants/%zz HTTP/1.1",
        "GET //v1//tenants HTTP/1.1",
        "GET /v1/tenants/../tenants HTTP/1.1",
        "GET http://localhost/v1/nothing HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET /v1/tenants#x HTTP/1.1",
    ],
)
def test_request_lines_that_are_odd(server, line):
    host, port = server.address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.connect()
    connection.sock.sendall(f"{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = http.client.HTTPResponse(connection.sock)
    answer.begin()
    assert 200 <= answer.status < 500
    if answer.status >= 400:
        assert answer.getheader("Content-Type") == "application/problem+json"
        assert json.loads(answer.read())["status"] == answer.status
    connection.close()
