"""Networks of the user's own: which function builds each, where another process finds it, the digest of its code.

Importing this imports no torch; the user's own modules may.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frostline.errors import ModelError, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["PY", "OwnNetwork", "find_own", "import_function", "own_names", "use_networks"]

PY = "py:"
"""What names a function by its module, ``py:MODULE:FUNCTION``."""

TIMM = "timm:"


@dataclass(frozen=True)
class OwnNetwork:
    """A function that builds a network.

    ``reference`` is ``py:MODULE:FUNCTION`` where another process can import it, else None; ``code`` is the hex digest
    of that and the source of the module; or, where there is none, of the function, its layers and their classes.
    """

    name: str
    reference: str | None
    code: str
    function: Callable[..., Any] | None = None

    @property
    def registered(self) -> bool:
        """Whether it is one that was registered with timm, which is then how it is built."""
        return self.name.startswith(TIMM)


@dataclass(frozen=True)
class _Given:
    """The networks of a study, as they were given and as they were found when it began."""

    networks: Mapping[str, str | Callable[..., Any]]
    found: Mapping[str, OwnNetwork]


_GIVEN: ContextVar[_Given | None] = ContextVar("frostline_networks", default=None)


@contextmanager
def use_networks(networks: Mapping[str, str | Callable[..., Any]], backbones: Iterable[str] = ()) -> Iterator[None]:
    """Have names of backbones stand for a study's own networks, in this thread, until the block ends.

    Their code is looked at once, here, so that a file that is edited meanwhile changes nothing.

    Args:
        networks: a function, or its ``py:MODULE:FUNCTION``, by the name that the study gives it.
        backbones: which backbones the study has, by name.
    """
    found: dict[str, OwnNetwork] = {}
    for name in dict.fromkeys((*networks, *backbones)):
        try:
            own = _describe(name, networks)
        except ModelError:  # told where the network is asked for
            continue
        if own is not None:
            found[name] = own
    token = _GIVEN.set(_Given(dict(networks), found))
    try:
        yield
    finally:
        _GIVEN.reset(token)


def own_names() -> tuple[str, ...]:
    """Return the names that the study gives to networks of its own."""
    given = _GIVEN.get()
    return () if given is None else tuple(given.networks)


def find_own(backbone: str) -> OwnNetwork | None:
    """Return a backbone that is the user's own, or None for one of a library's.

    Raises:
        ModelError: it names a function that isn't there.
    """
    given = _GIVEN.get()
    if given is None:
        return _describe(backbone, {})
    return given.found.get(backbone) or _describe(backbone, given.networks)


def import_function(reference: str) -> Callable[..., Any]:
    """Return the function that ``py:MODULE:FUNCTION`` names.

    Raises:
        ModelError: the module can't be imported, or has no such function.
    """
    module_name, _, path = reference.removeprefix(PY).partition(":")
    _look_in_working_directory()
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # importing runs the user's code
        raise ModelError(f"{reference}: {_import_failure(module_name, error)}") from error
    value: Any = module
    for part in path.split("."):
        if not hasattr(value, part):
            known = [name for name in dir(value) if callable(getattr(value, name, None))]
            where = getattr(module, "__file__", None) or module_name
            raise ModelError(f'{reference}: {where} has no function "{part}"{closest(part, known)}')
        value = getattr(value, part)
    if not callable(value):
        raise ModelError(f"{reference}: is not a function but {_kind(value)}; name a function that builds the network")
    function: Callable[..., Any] = value
    return function


def _describe(backbone: str, networks: Mapping[str, str | Callable[..., Any]]) -> OwnNetwork | None:
    given = networks.get(backbone, backbone)
    if isinstance(given, str):
        if given.startswith(PY):
            return OwnNetwork(backbone, given, _code_of_module(given))
        return _registered(given) if given.startswith(TIMM) else None
    return _only_here(backbone, given)


def _registered(backbone: str) -> OwnNetwork | None:
    """Return a network that the user registered with timm, or None for timm's own."""
    registry = sys.modules.get("timm.models._registry")
    name = backbone.removeprefix(TIMM)
    if registry is None or not registry.is_model(name):
        return None
    function = registry.model_entrypoint(name)
    if function.__module__.split(".")[0] == "timm":
        return None
    reference = f"{PY}{function.__module__}:{function.__qualname__}"
    if function.__module__ == "__main__" or "<" in function.__qualname__:
        return _only_here(backbone, function)
    return OwnNetwork(backbone, reference, _code_of_module(reference), function)


def _only_here(backbone: str, function: Callable[..., Any]) -> OwnNetwork:
    from frostline.models._own_building import digest_built

    own = OwnNetwork(backbone, None, "", function)
    return replace(own, code=digest_built(own))


def _code_of_module(reference: str) -> str:
    """Return the digest of a module's file, found without running it where it isn't in a package."""
    module_name = reference.removeprefix(PY).partition(":")[0]
    _look_in_working_directory()
    try:
        spec = importlib.util.find_spec(module_name)
    except (Exception, SystemExit) as error:  # finding a module in a package imports the package
        raise ModelError(f"{reference}: {_import_failure(module_name, error)}") from error
    if spec is None:
        raise ModelError(f"{reference}: {_absent(module_name)}")
    if spec.origin is None or not Path(spec.origin).is_file():
        raise ModelError(f"{reference}: {module_name} has no file, so it has no function")
    return hashlib.sha256(f"{reference}\n".encode() + Path(spec.origin).read_bytes()).hexdigest()


def _look_in_working_directory() -> None:
    """Have imports look in the working directory first, as ``python -m`` does."""
    here = str(Path.cwd())
    if here not in sys.path and not ("" in sys.path and os.getcwd() == here):  # noqa: PTH109
        sys.path.insert(0, here)


def _import_failure(module_name: str, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module_name}.".startswith(f"{error.name}."):
        return _absent(str(error.name))
    text = str(error).strip().splitlines()
    return f"importing {module_name} failed: {type(error).__name__}{f': {text[0]}' if text else ''}"


def _absent(module_name: str) -> str:
    return f"there is no module {module_name}, neither in the working directory {Path.cwd()} nor installed"


def _kind(value: object) -> str:
    return f"a value of type {type(value).__name__}"
