# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A machine under qemu that has a kernel of its own and the host's files.

The host's files come by virtiofs, read only; what the guest writes goes to memory (overlayfs).
The initramfs has what it takes to get there: init, a few of the host's programs, the modules that
are not built in.
There are two serial lines: the first is the kernel's console, where guest also leaves the exit
status of the command; the second is the command's terminal. No network, no disk.
"""

import lzma
import os
import pathlib
import re
import resource
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile

from kernels import ROOT

HERE = pathlib.Path(__file__).resolve().parent
INIT_PROGRAMS = ("sh", "mkdir", "mount", "insmod", "switch_root")
ROOT_MODULES = ("virtio_pci", "virtiofs", "overlay")
EXIT_STATUS = re.compile(r"vmtest: exit status (\d+)")
# The kernel's allocator uses CMPXCHG16B if there is one, and qemu 7.2 then loses flags: about every
# second boot ended in an oops behind that instruction in kmem_cache_alloc().
CPU = "max,-cx16"
# TCG is not a processor that leaks, and its time stamp counter is good.
CMDLINE = ("console=ttyS0 loglevel=4 printk.devkmsg=on panic=-1 oops=panic mitigations=off "
           "tsc=reliable clocksource=tsc")
GRACE_SECONDS = 5
TAIL_LINES = 40


class MachineError(Exception):
    """The machine ended without a word of the command's exit status."""


class TimeOut(MachineError):
    """It was ended because it took too long."""


def run(kernel, command, memory_mib, cpus, timeout):
    """Boots `kernel`, runs the shell command `command` from the repository's root and returns
    its exit status; its terminal is this process's standard input and output."""
    with tempfile.TemporaryDirectory(prefix="plait-vmtest-") as folder:
        folder = pathlib.Path(folder)
        initramfs(kernel, command, folder)
        with open(folder / "complaints", "wb") as complaints:
            with listening(folder / "files.sock") as files:
                servant = start(virtiofsd(files), pass_fds=[files.fileno()], stderr=complaints)
            try:
                in_time = ends_within(timeout, start(qemu(kernel, folder, memory_mib, cpus),
                                                     stdin=own_stdin(), stderr=complaints))
            finally:
                end(servant)
        words = said(folder)
    found = EXIT_STATUS.search(words)
    if found:
        return int(found.group(1))
    tail = "\n".join(words.splitlines()[-TAIL_LINES:])
    if in_time:
        raise MachineError(f"the machine ended without an exit status; it said last:\n{tail}")
    raise TimeOut(f"no end after {timeout:g} s; the machine said last:\n{tail}")


# The initramfs

def initramfs(kernel, command, folder):
    tree = folder / "initramfs"
    for name in ("bin", "host", "memory", "modules", "root"):
        (tree / name).mkdir(parents=True)
    shutil.copy(HERE / "init", tree / "init")
    (tree / "job").write_text(job(kernel, command))
    for name in INIT_PROGRAMS:
        copy_program(shutil.which(name), tree)
    for number, module in enumerate(module_files(kernel)):
        content = module.read_bytes()
        if module.suffix == ".xz":
            content = lzma.decompress(content)
        (tree / "modules" / f"{number:02}").write_bytes(content)
    subprocess.run("find . | cpio --quiet -o -H newc >../initramfs.cpio", shell=True, check=True,
                   cwd=tree)


def copy_program(path, tree):
    """To bin; the shared libraries to where the program looks for them."""
    shutil.copy(path, tree / "bin")
    linked = subprocess.run(["ldd", path], check=True, text=True, stdout=subprocess.PIPE).stdout
    for library in re.findall(r"(/\S+) \(0x", linked):
        copy = tree / library.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, copy)


def job(kernel, command):
    """What init and guest have to know, as shell variables."""
    known = {"repository": ROOT, "modules": kernel.modules, "command": command,
             "terminal": "", "TERM": "dumb"}
    if sys.stdin.isatty():
        size = os.get_terminal_size(sys.stdin.fileno())
        known["terminal"] = f"rows {size.lines} cols {size.columns}"
        known["TERM"] = os.environ.get("TERM", "vt100")
    return "".join(f"export {name}={shlex.quote(str(value))}\n" for name, value in known.items())


def module_files(kernel):
    """The modules needed to mount the root, in the order to load them."""
    if not kernel.modules.is_dir():
        return []
    shown = "".join(
        subprocess.run(["modprobe", "--dirname", kernel.base, "--set-version", kernel.version,
                        "--show-depends", module],
                       check=True, text=True, stdout=subprocess.PIPE).stdout
        for module in ROOT_MODULES)
    paths = [line.split()[1] for line in shown.splitlines() if line.startswith("insmod ")]
    return [pathlib.Path(path) for path in dict.fromkeys(paths)]


# The processes

def listening(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)
    return server


def qemu(kernel, folder, memory_mib, cpus):
    return ["qemu-system-x86_64", "-nodefaults", "-no-reboot", "-display", "none",
            "-accel", "tcg,thread=multi", "-cpu", CPU, "-smp", str(cpus),
            "-m", f"{memory_mib}M", "-machine", "q35,memory-backend=memory",
            "-object", f"memory-backend-memfd,id=memory,size={memory_mib}M,share=on",
            "-kernel", kernel.image, "-initrd", folder / "initramfs.cpio", "-append", CMDLINE,
            "-serial", f"file:{folder / 'console'}",
            "-chardev", "stdio,id=terminal,signal=off", "-serial", "chardev:terminal",
            "-chardev", f"socket,id=files,path={folder / 'files.sock'}",
            "-device", "vhost-user-fs-pci,chardev=files,tag=host"]


def virtiofsd(server):
    return ["/usr/lib/qemu/virtiofsd", f"--fd={server.fileno()}", "--rlimit-nofile=0",
            "-o", "source=/", "-o", "cache=always", "-o", "sandbox=chroot", "-o", "log_level=err"]


def own_stdin():
    """qemu's terminal is ours if we have one."""
    return None if sys.stdin.isatty() else subprocess.DEVNULL


def start(command, **kwargs):
    """A process that dies with this one, however this one dies."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return subprocess.Popen(["setpriv", "--pdeathsig=KILL", *map(str, command)], **kwargs)


def ends_within(seconds, process):
    """Whether it did so by itself; it is gone in any case."""
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        end(process)


def end(process):
    """SIGTERM first, on which qemu puts the terminal back in order."""
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def said(folder):
    """What was on the console, and what qemu and virtiofsd complained of."""
    paths = (folder / "console", folder / "complaints")
    return "".join(path.read_text(errors="replace") for path in paths if path.exists())
