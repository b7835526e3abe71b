# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Kernels to boot: Debian's, taken out of its packages and never installed, or one's own.

apt fetches them with lists of its own below build/vmtest/apt, from the mirror that the machine
has for bookworm, so that bookworm-backports need not be among the machine's sources.
"""

import dataclasses
import pathlib
import re
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
CACHE = ROOT / "build/vmtest"
META_PACKAGE = "linux-image-cloud-amd64"
DEBIAN = ("6.12", "6.1")
SUITES = "bookworm bookworm-backports"
SOURCES = """Types: deb
URIs: {mirror}
Suites: {suites}
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


class KernelError(Exception):
    """A kernel is not to be had; the message says why."""


@dataclasses.dataclass
class Kernel:
    """An image, and the folder that holds its lib/modules/VERSION."""

    image: pathlib.Path
    base: pathlib.Path
    version: str

    @property
    def modules(self):
        return self.base / "lib/modules" / self.version


def kernel(name):
    """The kernel of that name: a release of Debian's ("6.12") or the path of an image."""
    if name in DEBIAN:
        base = CACHE / "kernels" / name
        if not base.exists():
            fetch(name, base)
        image, = base.glob("boot/vmlinuz-*")
    else:
        image = pathlib.Path(name).resolve()
        base = image.parent.parent
    if not image.is_file():
        raise KernelError(f"{name} is neither one of {' '.join(DEBIAN)} nor the path of an image")
    return Kernel(image, base, image.name.removeprefix("vmlinuz-"))


def fetch(release, base):
    """Makes `base`, whole or not at all."""
    base.parent.mkdir(parents=True, exist_ok=True)
    apt = Apt(CACHE / "apt")
    with tempfile.TemporaryDirectory(dir=base.parent) as scratch:
        unpacked = pathlib.Path(scratch) / "unpacked"
        package = apt.download(apt.image_package(release), scratch)
        run(["dpkg-deb", "--extract", package, unpacked])
        (unpacked / "usr").rename(unpacked / "doc")
        shutil.rmtree(unpacked / "doc")
        image, = unpacked.glob("boot/vmlinuz-*")
        run(["depmod", "--basedir", unpacked, image.name.removeprefix("vmlinuz-")])
        unpacked.rename(base)


class Apt:
    """apt with lists of its own."""

    def __init__(self, folder):
        (folder / "lists/partial").mkdir(parents=True, exist_ok=True)
        sources = folder / "debian.sources"
        sources.write_text(SOURCES.format(mirror=self.mirror(), suites=SUITES))
        self.options = [f"--option={option}" for option in (
            f"Dir::Etc::SourceList={sources}", "Dir::Etc::SourceParts=/dev/null",
            f"Dir::State::Lists={folder / 'lists'}", f"Dir::Cache={folder}",
            "APT::Sandbox::User=root")]
        run(["apt-get", *self.options, "--quiet", "update"])

    @staticmethod
    def mirror():
        targets = run(["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)",
                       "Created-By: Packages"])
        for line in targets.splitlines():
            suite, _, uri = line.partition(" ")
            if suite == "bookworm":
                return uri
        raise KernelError("apt has no source for bookworm, so there is no mirror to ask")

    def image_package(self, release):
        """The package that the newest META_PACKAGE of that release depends on."""
        shown = run(["apt-cache", *self.options, "show", META_PACKAGE])
        found = re.search(rf"^Version: {re.escape(release)}\..*?^Depends: (\S+) \(= (\S+)\)",
                          shown, re.MULTILINE | re.DOTALL)
        if not found:
            raise KernelError(f"{SUITES} have no {META_PACKAGE} of release {release}")
        return "=".join(found.groups())

    def download(self, package, folder):
        run(["apt-get", *self.options, "--quiet", "download", package], cwd=folder)
        path, = pathlib.Path(folder).glob("*.deb")
        return path


def run(command, **kwargs):
    done = subprocess.run(command, check=False, text=True, stdin=subprocess.DEVNULL,
                          capture_output=True, **kwargs)
    if done.returncode:
        raise KernelError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n"
                          f"{done.stdout}{done.stderr}")
    return done.stdout
