# SPDX-License-Identifier: Apache-2.0
"""The page at /docs: served from the package, and nothing but its own script may run."""

from __future__ import annotations

import configparser
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest


@pytest.fixture
def page(rest):
    answer = rest.get("/docs")
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    return answer


def test_only_its_own_script_runs(page):
    policy = dict(
        one.strip().split(" ", 1) for one in page.headers["Content-Security-Policy"].split(";")
    )
    assert policy.pop("default-src") == "'none'"
    assert {name for name, sources in policy.items() if sources == "'self'"} == {
        "script-src", "style-src", "connect-src"}  # fmt: skip
    assert set(policy.values()) == {"'self'", "'none'"}
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    text = page.text
    assert re.findall(r"<script[^>]*>", text) == ['<script src="/docs/page.js" defer>']
    assert "<style" not in text
    assert not re.search(r"\s(on\w+|style)=", text)


def test_everything_it_needs_is_served(rest, page):
    needed = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    script = rest.get("/docs/page.js").text
    needed += re.findall(r'fetch\("([^"]+)"', script)
    assert set(needed) == {"/docs/page.css", "/docs/page.js", "/openapi.json"}
    for path in needed:
        answer = rest.get(path)
        assert answer.status_code == 200
        assert answer.content_type.partition(";")[0] in {
            "text/css", "text/javascript", "application/json"}  # fmt: skip
    every = page.text + script + rest.get("/docs/page.css").text
    assert "://" not in every
    assert "innerHTML" not in every


def test_nothing_else_is_served_from_there(rest):
    for path in ("/docs/page.html", "/docs/..%2fapp.py", "/docs/docs.py", "/docs/", "/docs/x/y"):
        assert rest.get(path).status_code == 404, path
    assert rest.get("/docs?x=1").status_code == 400


def test_it_is_packaged():
    config = configparser.ConfigParser()
    config.read(Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
    assert config["options.package_data"]["vneter_sdn.northbound.rest"] == "browse/*"
    folder = files("vneter_sdn.northbound.rest") / "browse"
    assert {one.name for one in folder.iterdir()} == {"page.html", "page.js", "page.css"}


def test_the_page_can_show_every_part(rest):
    """It renders what it knows of; this is all there is."""
    document = rest.get("/openapi.json").json
    methods = {method for item in document["paths"].values() for method in item}
    assert methods <= {"get", "post", "put", "patch", "delete", "parameters"}
    assert {"in"} <= {key for item in document["paths"].values()
                      for one in item.get("parameters", ()) for key in one}  # fmt: skip
    operations = [
        one for item in document["paths"].values() for name, one in item.items()
        if name != "parameters"
    ]  # fmt: skip
    assert all(one["operationId"] and one["summary"] and one["tags"] for one in operations)
    assert json.dumps(document)
