# SPDX-License-Identifier: Apache-2.0
"""Ryu's names lead to os-ken's modules, and what cannot be run is said."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from vneter_sdn.errors import IntentError, NotFound
from vneter_sdn.southbound.openflow import programs, ryu_names

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def names():
    before = list(sys.meta_path), dict(sys.modules), list(sys.path)
    ryu_names.install()
    ryu_names.install()
    yield
    sys.meta_path[:], sys.path[:] = before[0], before[2]
    for name in set(sys.modules) - set(before[1]):
        if name.partition(".")[0] == "ryu":
            del sys.modules[name]


def test_modules_and_classes_are_the_same_under_both_names(names):
    from os_ken.base import app_manager as new
    from os_ken.lib.packet import ethernet
    from ryu.base import app_manager as old
    from ryu.base.app_manager import RyuApp
    from ryu.lib.packet.ethernet import ethernet as same

    assert old is new
    assert RyuApp is new.OSKenApp
    assert same is ethernet.ethernet
    assert sum(isinstance(finder, ryu_names.RyuNames) for finder in sys.meta_path) == 1


@pytest.mark.parametrize(
    "name",
    [
        "ryu",
        "ryu.cfg",
        "ryu.controller.handler",
        "ryu.controller.dpset",
        "ryu.exception",
        "ryu.lib.hub",
        "ryu.lib.ofctl_v1_3",
        "ryu.lib.dpid",
        "ryu.ofproto.ofproto_v1_3_parser",
        "ryu.ofproto.nx_match",
        "ryu.topology.api",
        "ryu.topology.switches",
        "ryu.app.ofctl.api",
        "ryu.utils",
    ],
)
def test_modules_that_programs_use_are_there(names, name):
    assert importlib.import_module(name).__name__ == ryu_names.modern(name)


def test_wsgi_is_ours_however_it_is_imported(names):
    import ryu.app.wsgi
    from os_ken.app import wsgi as third
    from ryu.app import wsgi as second

    assert ryu.app.wsgi is second is third
    assert second.__name__.endswith("ryu_wsgi")


def test_what_is_not_there_is_not_found(names):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("ryu.app.nothing")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("ryu.nothing.at_all")


APP = "from ryu.base import app_manager\nclass A(app_manager.RyuApp):\n    pass\n"


def test_a_file_may_have_the_name_of_any_module(names, tmp_path):
    for name in ("json", "statistics", "mine"):
        path = tmp_path / f"{name}.py"
        path.write_text(APP)
        module = programs.load(str(path))
        assert sys.modules.pop(module).A.__module__ == module
    assert "loads" in vars(importlib.import_module("json"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "no class derived from"),
        ("from ryu.base.app_manager import RyuApp", "no class derived from"),
        ("import nowhere_to_be_found", "ModuleNotFoundError.*:1"),
        ("\n\n1 / 0", "ZeroDivisionError.*program_x.py:3"),
        ("def f(:", "SyntaxError.*:1"),
        ("import sys; sys.exit(3)", "SystemExit"),
    ],
)
def test_what_is_no_program_is_refused_with_its_place(names, tmp_path, text, message):
    path = tmp_path / "program_x.py"
    path.write_text(text)
    with pytest.raises(IntentError, match=message):
        programs.load(str(path))
    sys.modules.pop("program_x", None)


def test_what_is_not_there_is_named(names, tmp_path):
    with pytest.raises(NotFound, match="no file"):
        programs.load(str(tmp_path / "none.py"))
    with pytest.raises(NotFound, match="no module nothing_here"):
        programs.load("nothing_here")
    with pytest.raises(NotFound, match="Ryu's own applications"):
        programs.load("ryu.app.simple_switch_13")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("tcp:127.0.0.1:6653", ("127.0.0.1", 6653)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("tcp:[::1]:6653", ("::1", 6653)),
    ],
)
def test_addresses(text, place):
    assert programs.address(text) == place


@pytest.mark.parametrize("text", ["", "6653", "tcp:6653", "tcp:127.0.0.1:70000", "tcp::x"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(IntentError):
        programs.address(text)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "vneter_sdn", "run", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_says_what_is_wrong_in_a_line(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        APP + "    def __init__(self, *args, **kwargs):\n        raise ValueError('no')\n"
    )
    here = ("--listen", "tcp:127.0.0.1:0")
    for words, code, said in (
        ((*here, str(tmp_path / "none.py")), 3, "there is no file"),
        ((*here, str(path)), 1, "failed while starting: ValueError: no"),
        ((*here, str(path), "--", "--unknown"), 1, "are no options"),
        (("--listen", "nowhere", str(path)), 1, "is no address"),
        ((), 2, "programs"),
    ):
        done = run(*words)
        assert done.returncode == code, done.stderr
        assert said.lower() in done.stderr.lower()
        assert "Traceback" not in done.stderr
