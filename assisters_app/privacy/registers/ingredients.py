"""What the product is made of: every package of both locks, Python's and the pages', and what watches over them.

    packages() -> tuple[Package, …]     all that is pinned, by ecosystem and name
    bill() -> dict                      the same as a CycloneDX 1.6 bill of materials, for whoever wants to audit us
    unpinned(), unbuilt()               a sentence for each package that is not the one that its lock names

The locks are read, not what happens to be installed: they are what is installed anywhere, checked by hash.
"""

import base64
import functools
import importlib.metadata
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from assisters_app.base import contact
from assisters_app.base.settings import ROOT

LOCK = ROOT / "requirements.txt"
PAGES_LOCK = ROOT / "reflex.lock" / "package-lock.json"
BUILT_FROM = ROOT / ".web"  # where the pages are built, with the packages that they are built from
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
MEDIA_TYPE = "application/vnd.cyclonedx+json; version=1.6"

Ecosystem = Literal["PyPI", "npm"]  # as OSV and package URLs know them


@dataclass(frozen=True, slots=True)
class Package:
    """One package that is pinned. `licence` is an SPDX expression, "" where the package names none in those terms."""

    ecosystem: Ecosystem
    name: str
    version: str
    licence: str = ""
    sha512: str = ""  # of npm's archive, in hex; Python's lock has a hash for each system's file
    builds_only: bool = False  # it builds the pages, and nothing of it reaches a browser

    @property
    def url(self) -> str:
        """Return the package URL (purl): https://github.com/package-url/purl-spec."""
        name = re.sub(r"[-_.]+", "-", self.name).lower() if self.ecosystem == "PyPI" else self.name
        return f"pkg:{self.ecosystem.lower()}/{quote(name, safe='/')}@{quote(self.version)}"


def packages() -> tuple[Package, ...]:
    """Return every package that a lock of ours pins."""
    return (*_python(), *_pages())


def pins() -> list[tuple[str, str]]:
    """Return the name and version of every Python package that is pinned, for whatever system."""
    return PIN.findall(LOCK.read_text())


def unpinned() -> list[str]:
    """Return a sentence for each Python package whose installed version is not the one that the lock pins."""
    found = []
    for name, version in pins():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # pinned for another system or Python
        if installed != version:
            found.append(f"{name} {installed} is installed, and {version} is pinned.")
    return found


def unbuilt() -> list[str]:
    """Return a sentence for each package that the pages were built from here, and that is not the pinned one."""
    found = []
    for place, said in _locked():
        here = BUILT_FROM / place / "package.json"
        if here.is_file() and (version := json.loads(here.read_text()).get("version")) != said["version"]:
            found.append(f"{_named(place)} {version} is in the pages, and {said['version']} is pinned.")
    return found


@functools.cache
def bill() -> dict[str, Any]:
    """Return the bill of materials: https://cyclonedx.org/docs/1.6/json/. The same locks give the same bill."""
    components = [_component(package) for package in packages()]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, json.dumps(components))}",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": "assisters", "name": "assisters"},
            "supplier": {"name": contact.COMPANY, "contact": [{"email": contact.EMAIL}]},
        },
        "components": components,
        "dependencies": [{"ref": "assisters", "dependsOn": [one["bom-ref"] for one in components]}],
    }


def _component(package: Package) -> dict[str, Any]:
    group, _, name = package.name.rpartition("/")
    return {
        "type": "library",
        "bom-ref": package.url,
        **({"group": group} if group else {}),
        "name": name,
        "version": package.version,
        "scope": "excluded" if package.builds_only else "required",
        **({"hashes": [{"alg": "SHA-512", "content": package.sha512}]} if package.sha512 else {}),
        **({"licenses": [{"expression": package.licence}]} if package.licence else {}),
        "purl": package.url,
    }


def _python() -> Iterator[Package]:
    for name, version in sorted(set(pins())):
        yield Package("PyPI", name, version, _licence(name))


def _licence(name: str) -> str:
    try:
        return str(importlib.metadata.metadata(name).json.get("license_expression", ""))
    except importlib.metadata.PackageNotFoundError:  # pinned for another system
        return ""


def _pages() -> Iterator[Package]:
    seen: dict[str, Package] = {}
    for place, said in _locked():
        package = Package(
            "npm",
            _named(place),
            said["version"],
            said["license"] if isinstance(said.get("license"), str) else "",
            _hex(said.get("integrity", "")),
            bool(said.get("dev")),
        )
        seen.setdefault(package.url, package)  # a package may lie in several places
    yield from (seen[url] for url in sorted(seen))


def _locked() -> list[tuple[str, dict[str, Any]]]:
    """Return where npm puts each package, and what the lock says of it."""
    lock: dict[str, dict[str, Any]] = json.loads(PAGES_LOCK.read_text())["packages"]
    return [(place, said) for place, said in lock.items() if place and "version" in said]


def _named(place: str) -> str:
    return place.rpartition("node_modules/")[2]


def _hex(integrity: str) -> str:
    """Return npm's integrity in hex, "" unless it is SHA-512."""
    kind, _, digest = integrity.partition("-")
    return base64.b64decode(digest).hex() if kind == "sha512" else ""
