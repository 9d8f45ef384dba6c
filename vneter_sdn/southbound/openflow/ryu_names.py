# SPDX-License-Identifier: Apache-2.0
"""Lets programs written for Ryu import what they always did: ``ryu.x.y`` is ``os_ken.x.y``.

os-ken is Ryu's continuation, module for module. The very same module objects are given under both
names, so classes are the same whichever way they were imported. What os-ken dropped and many
programs use, ``ryu.app.wsgi``, is `ryu_wsgi`; ``RyuApp`` and ``RyuException`` are os-ken's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_OLD, _NEW = "ryu", "os_ken"
_OURS = {"app.wsgi": "vneter_sdn.southbound.openflow.ryu_wsgi"}
_RENAMED = {
    "base.app_manager": {"RyuApp": "OSKenApp"},
    "exception": {"RyuException": "OSKenException"},
}


def modern(name: str) -> str:
    """The module that a name of Ryu's stands for; any other name is itself."""
    top, _, rest = name.partition(".")
    if rest in _OURS and top in (_OLD, _NEW):
        return _OURS[rest]
    return f"{_NEW}.{rest}" if top == _OLD and rest else _NEW if name == _OLD else name


class _Alias(Loader):
    """Puts a module that has another name into the place of the one asked for."""

    def __init__(self, target: str) -> None:
        self._target = target

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The default one, which `exec_module` replaces."""
        del spec

    def exec_module(self, module: ModuleType) -> None:
        """Replace it; the import system takes what then is in `sys.modules`."""
        sys.modules[module.__name__] = import_module(self._target)


class RyuNames(MetaPathFinder):
    """Finds ``ryu`` and everything below it, and what os-ken lacks of it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module of os-ken's, None when there is none or the name is nobody's business here."""
        del path, target
        name = modern(fullname)
        if name == fullname:
            return None
        try:
            found = find_spec(name)
        except ModuleNotFoundError:
            found = None
        if found is None:
            return None
        package = found.submodule_search_locations is not None
        return ModuleSpec(fullname, _Alias(name), is_package=package)


def install() -> None:
    """Understand Ryu's names from now on; more than once is as once."""
    for module, names in _RENAMED.items():
        target = import_module(f"{_NEW}.{module}")
        for old, new in names.items():
            setattr(target, old, getattr(target, new))
    if not any(isinstance(finder, RyuNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, RyuNames())
