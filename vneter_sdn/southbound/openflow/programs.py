# SPDX-License-Identifier: Apache-2.0
"""Runs whole Ryu and os-ken programs, unmodified, in a process of their own (``vneterctl run``).

The process is the programs' alone, so it is patched for eventlet as ``ryu-manager`` does; no part
of the controller service runs in it. A handler that raises is logged by os-ken and the program goes
on; one that computes for longer than `Wish.patience` without letting others run is interrupted by
an exception. What switches and tenants send is checked first: `program_laws`, `packet_guard`.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from vneter_sdn.errors import IntentError, NotFound, Problem, SouthboundError
from vneter_sdn.southbound.openflow import packet_guard, ryu_names

_LOG = logging.getLogger(__name__)
LISTEN = ("tcp:127.0.0.1:6653",)
_GRACE = 3.0
"""Seconds that programs have to stop."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to run, and how."""

    programs: tuple[str, ...]
    """Paths of files, or names of modules, Ryu's names included."""
    listen: tuple[str, ...] = LISTEN
    """Where switches connect: ``tcp:ADDRESS:PORT``; an IPv6 address in brackets."""
    observe_links: bool = False
    """Send LLDP out of all ports, for ``ryu.topology``."""
    rest: str = "127.0.0.1:8080"
    """Where programs with ``ryu.app.wsgi`` listen."""
    patience: int = 5
    """Whole seconds of computing after which a handler is interrupted."""
    options: tuple[str, ...] = ()
    """For what the programs registered with ``ryu.cfg``."""


def run(wish: Wish) -> None:
    """Run programs until SIGINT or SIGTERM.

    Raises:
        NotFound: there is no such file or module.
        IntentError: a program cannot be imported, has no app in it, or an address makes no sense.
        SouthboundError: an address is taken, or a program failed while starting.
    """
    _patch()
    ryu_names.install()
    packet_guard.install()
    manager = _manager()
    sockets = [_listening(one) for one in wish.listen]
    from os_ken.ofproto import ofproto_protocol

    from vneter_sdn.southbound.openflow.program_laws import VERSIONS

    ofproto_protocol.set_app_supported_versions(VERSIONS)
    sys.argv = [wish.programs[0], *wish.options]
    names = [load(one) for one in wish.programs]
    _configure(wish)
    with _ended() as ended:
        _start(manager, names, sockets, wish)
        for one in wish.listen:
            _LOG.info("switches may connect to %s", one)
        ended()
        _LOG.info("stopping")
        _stop(manager)


def _patch() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # eventlet tells every user of its own deprecation
        from os_ken.lib import hub

    hub.patch(thread=False)


def _manager() -> Any:
    from os_ken.base.app_manager import AppManager

    class Programs(AppManager):
        """Os-ken's, which knows that a module with two names is one app."""

        def load_app(self, name: str) -> Any:
            """The app class of a module, None when it is loaded already."""
            found = super().load_app(ryu_names.modern(name))
            return None if found in self.applications_cls.values() else found

    made = Programs()
    AppManager._instance = made  # noqa: SLF001 - what get_instance() gives to programs
    return made


def load(program: str) -> str:
    """Import a program; the name of its module.

    Raises:
        NotFound: there is no such file or module.
        IntentError: importing it fails, or there is no app class in it.
    """
    path = Path(program)
    if path.suffix == ".py" or os.sep in program:
        if not path.is_file():
            raise NotFound(f"there is no file {program}")
        module = _imported(path)
    else:
        module = _by_name(program)
    _check_app(module, program)
    return module.__name__


def _imported(path: Path) -> ModuleType:
    name = path.stem
    if name in sys.modules or name in sys.stdlib_module_names:
        name = f"{name}_program"
    spec = spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise _refused(str(path), "is no Python file: its name has to end in .py")
    directory = str(path.resolve().parent)
    if directory not in sys.path:
        # Last, or a program called json.py would be everybody's json.
        sys.path.append(directory)
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _failed(str(path), error) from error
    return module


def _by_name(program: str) -> ModuleType:
    name = ryu_names.modern(program)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise _failed(program, error) from error
        ours = program.startswith("ryu.app.")
        hint = ": os-ken has none of Ryu's own applications; name the file" if ours else ""
        raise NotFound(f"there is no module {program}{hint}") from error
    except (Exception, SystemExit) as error:
        raise _failed(program, error) from error


def _failed(program: str, error: BaseException) -> IntentError:
    """Where in the program an import failed, and why."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "importlib" not in file and file != __file__:
            place = f" ({file}:{trace.tb_lineno})"
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}:{error.lineno})"
    return _refused(program, f"cannot be imported: {type(error).__name__}: {error}{place}")


def _refused(program: str, message: str) -> IntentError:
    return IntentError(Problem(program, "", "InvalidProgram", message))


def _check_app(module: ModuleType, program: str) -> None:
    from os_ken.base.app_manager import OSKenApp

    found = [
        name
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, OSKenApp)
        if kind.__module__ == module.__name__
    ]
    if not found:
        raise _refused(program, "has no class derived from app_manager.RyuApp or OSKenApp")


def _configure(wish: Wish) -> None:
    """Parse the programs' options, after they registered them."""
    from os_ken import cfg
    from os_ken.topology import switches

    del switches  # imported for the option that it registers
    host, port = address(wish.rest)
    cfg.CONF.register_cli_opts(
        [cfg.StrOpt("wsapi-host", default=host), cfg.IntOpt("wsapi-port", default=port)]
    )
    try:
        cfg.CONF(list(wish.options), project="ryu", default_config_files=[])
    except SystemExit as ended:
        if not ended.code:
            raise
        raise _refused(" ".join(wish.options), "are no options of these programs") from ended
    cfg.CONF.set_override("observe_links", wish.observe_links or cfg.CONF.observe_links)
    # A switch that says nothing for so long is gone; the defaults would wait forever.
    cfg.CONF.set_override("echo_request_interval", 5.0)
    cfg.CONF.set_override("maximum_unreplied_echo_requests", 3)


def address(text: str) -> tuple[str, int]:
    """Host and port of ``127.0.0.1:6653``, ``tcp:127.0.0.1:6653`` or ``tcp:[::1]:6653``.

    Raises:
        IntentError: it is none.
    """
    host, _, port = text.removeprefix("tcp:").rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise _refused(text, "is no address: tcp:127.0.0.1:6653")
    return host, int(port)


def _listening(text: str) -> Any:
    import eventlet
    from eventlet.green import socket

    host, port = address(text)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return eventlet.listen((host, port), family, backlog=512)
    except OSError as error:
        raise SouthboundError(f"cannot listen on {text}: {error.strerror}") from error


@contextmanager
def _ended() -> Iterator[Any]:
    """Gives a function that waits for SIGINT or SIGTERM."""
    from eventlet import patcher
    from eventlet.hubs import trampoline

    system = patcher.original("os")
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    # Through a pipe: the hub sleeps in poll(2), which goes on after a handler has run.
    before = {
        number: signal.signal(number, lambda *_: system.write(write, b"."))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: trampoline(read, read=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(read)
        os.close(write)


def _start(manager: Any, names: Sequence[str], sockets: Sequence[Any], wish: Wish) -> None:
    from eventlet import debug
    from os_ken.controller import ofp_handler

    from vneter_sdn.southbound.openflow.program_wire import Doors

    ofp_handler.OpenFlowController = lambda: Doors(sockets)
    debug.hub_blocking_detection(state=True, resolution=wish.patience)
    try:
        # The handshake is an app too, which programs without OpenFlow handlers do not ask for.
        manager.load_apps([*names, "os_ken.controller.ofp_handler"])
        contexts = manager.create_contexts()
        manager.instantiate_apps(**contexts)
    except Exception as error:
        _LOG.debug("a program failed while starting", exc_info=True)
        raise SouthboundError(f"a program failed while starting: {_failure(error)}") from error
    _serve_rest(contexts)


def _failure(error: Exception) -> str:
    return "; ".join(p.message for p in _failed("", error).problems).partition(": ")[2]


def _serve_rest(contexts: dict[str, Any]) -> None:
    from os_ken import cfg
    from os_ken.lib import hub

    from vneter_sdn.southbound.openflow.ryu_wsgi import WSGIApplication, WSGIServer

    host, port = cfg.CONF.wsapi_host, cfg.CONF.wsapi_port
    for application in contexts.values():
        if isinstance(application, WSGIApplication):
            try:
                server = WSGIServer(application, host=host, port=port)
            except OSError as error:
                text = f"cannot listen on {host}:{port}: {error.strerror} (--wsapi-port)"
                raise SouthboundError(text) from error
            hub.spawn(server)
            _LOG.info("REST at http://%s:%s", host, port)
            return


def _stop(manager: Any) -> None:
    import eventlet

    with suppress(eventlet.Timeout), eventlet.Timeout(_GRACE):
        manager.close()
