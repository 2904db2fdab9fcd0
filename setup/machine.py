"""Get this checkout ready: system packages, the virtual environment, the locked Python packages.

Called by the Makefile before anything is installed, so it needs nothing but Python 3.11 and venv:

    python3 setup/machine.py run         what `make demo` needs
    python3 setup/machine.py test        what `make test` needs on top

It can be called any number of times and from two terminals at once. Where nothing is to do it takes
well under a second; what an interrupted one left half done, the next one makes afresh.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv"
VENV_PYTHON: Final = VENV / "bin" / "python"
STAMP: Final = VENV / "setup.json"  # what was installed; written last
UNFINISHED: Final = ROOT / ".venv.unfinished"  # there while packages are being written
LOCK: Final = ROOT / ".venv.lock"
APT_LOG: Final = ROOT / ".venv.apt.log"

PYTHON_MIN: Final = (3, 11)
LOCK_FILES: Final = {
    "run": ("requirements-build.lock", "requirements.lock"),
    "test": ("requirements-dev.lock",),
}
HEADLESS_LOCK: Final = "requirements-headless.lock"

APT_UNKNOWN_NAME: Final = ("Unable to locate package", "no installation candidate")

OTHER_SETUP_WAIT_S_MAX: Final = 1_800.0
APT_UPDATE_S_MAX: Final = 300.0
APT_INSTALL_S_MAX: Final = 1_200.0
PIP_S_MAX: Final = 3_600.0
WARM_UP_S_MAX: Final = 600.0
STILL_AT_IT_EVERY_S: Final = 10.0
LOG_LINES_SHOWN: Final = 5

# Where servers live on Debian; not on every user's PATH.
SERVER_PATH: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
# Settings of the caller that would send pip's work somewhere else than into our environment.
PIP_STRAYS: Final = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")


class SetupError(Exception):
    """Set-up cannot go on; the text says what to do."""


class SystemPackage(NamedTuple):
    """One package of the system's package manager, and how to see that it is there."""

    name: str
    gives: str
    without: str
    section: str
    present: Callable[[], bool]


def say(text: str) -> None:
    """Tell the person at the terminal, at once."""
    print(f"set-up: {text}", flush=True)


def loads(library: str) -> bool:
    """Return whether the dynamic linker finds this shared library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def on_path(*names: str) -> bool:
    """Return whether one of these programs is installed."""
    return any(shutil.which(name, path=SERVER_PATH) for name in names)


SYSTEM_PACKAGES: Final = (
    SystemPackage(
        "python3-venv",
        "makes the virtual environment",
        "set-up cannot go on",
        "run",
        lambda: VENV_PYTHON.exists() or importlib.util.find_spec("ensurepip") is not None,
    ),
    SystemPackage(
        "mosquitto",
        "the MQTT broker",
        "the embedded broker (amqtt, a Python package) takes its place",
        "run",
        lambda: on_path("mosquitto"),
    ),
    SystemPackage(
        "libzbar0",
        "the first barcode decoder (pyzbar)",
        "the second decoder (zxing-cpp) reads alone",
        "run",
        lambda: loads("libzbar.so.0"),
    ),
    SystemPackage(
        "libgl1",
        "OpenCV links it",
        "opencv-python-headless takes the place of opencv-python",
        "run",
        lambda: loads("libGL.so.1"),
    ),
    SystemPackage(
        "libglib2.0-0",
        "OpenCV links it",
        "opencv-python-headless takes the place of opencv-python",
        "run",
        lambda: loads("libgthread-2.0.so.0"),
    ),
    SystemPackage(
        "chromium",
        "the browser for the tests of the live page",
        "the browser tests are skipped by name",
        "test",
        lambda: on_path("chromium", "chromium-browser"),
    ),
    SystemPackage(
        "libatomic1",
        "what drives the browser in the tests of the live page",
        "the browser tests are skipped by name",
        "test",
        lambda: loads("libatomic.so.1"),
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when the checkout is ready, 1 when it is not and why was said."""
    parser = argparse.ArgumentParser(prog="setup/machine.py", description=__doc__.split("\n")[0])
    parser.add_argument("section", choices=("run", "test"), help="what it shall be ready for")
    parser.add_argument(
        "--retry",
        action="store_true",
        help="try again to install system packages that could not be had the last time",
    )
    options = parser.parse_args(arguments)
    try:
        require_python()
        with only_one_at_a_time() as lock_fd:
            set_up(options.section, retry=options.retry, lock_fd=lock_fd)
    except SetupError as error:
        print(f"set-up failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up interrupted; the next one repairs what is half done", file=sys.stderr)
        return 130
    return 0


def require_python() -> None:
    """Refuse a Python that is too old, before anything is written."""
    if sys.version_info < PYTHON_MIN:
        raise SetupError(
            f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]};"
            " name another one with `make PYTHON=/path/to/python3.11 ...`"
        )


def set_up(section: str, *, retry: bool, lock_fd: int) -> None:
    """Do what is missing, in order: system packages, environment, kernels."""
    started_s = time.monotonic()
    sections = ("run", "test") if section == "test" else ("run",)
    stamp = read_stamp()
    gave_up = [] if retry else not_to_be_had(stamp)
    missing = [p for p in SYSTEM_PACKAGES if p.section in sections and not p.present()]
    worked = provide_system_packages([p for p in missing if p.name not in gave_up])
    for package in missing:
        if package.name in gave_up:
            say(f"{package.name} is still missing (`make setup` tries again): {package.without}")
    worked |= provide_environment(sections, lock_fd=lock_fd)
    still_missing = [p.name for p in SYSTEM_PACKAGES if not p.present() and p in missing]
    stamp = read_stamp()
    if not_to_be_had(stamp) != still_missing:
        write_stamp({**stamp, "not_to_be_had": still_missing})
    warm_up()
    if worked:
        say(f"ready after {time.monotonic() - started_s:.0f} s")


# --- one at a time -------------------------------------------------------------------------------


@contextmanager
def only_one_at_a_time() -> Iterator[int]:
    """Hold the checkout's set-up lock; yield its descriptor, which pip inherits.

    So a pip that outlives a killed set-up still keeps the next set-up out until it is done.
    """
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        waited_s = 0.0
        while not try_lock(descriptor):
            if waited_s == 0.0:
                say("another set-up works on this checkout; waiting for it")
            if waited_s >= OTHER_SETUP_WAIT_S_MAX:
                raise SetupError(
                    f"another set-up holds {LOCK} for {waited_s:.0f} s now; end it and try again"
                )
            time.sleep(0.5)
            waited_s += 0.5
        yield descriptor
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Return whether the lock is ours now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- system packages -----------------------------------------------------------------------------


def provide_system_packages(missing: Sequence[SystemPackage]) -> bool:
    """Return whether anything was installed; what could not be had is named, with what follows."""
    if not missing:
        return False
    as_root, why_not = way_to_install()
    if why_not:
        say(f"these system packages are missing, and {why_not}:")
        for package in missing:
            say(f"    {package.name:<14} {package.without}")
        return False
    say(f"installing with {' '.join([*as_root, 'apt-get'])}:")
    for package in missing:
        say(f"    {package.name:<14} {package.gives}")
    service_kept_down = keep_broker_service_down(as_root, missing)
    try:
        apt_install(as_root, missing)
    finally:
        if service_kept_down:
            release_broker_service(as_root)
    for package in missing:
        if not package.present():
            say(f"{package.name} could not be installed (see {APT_LOG.name}): {package.without}")
    return any(package.present() for package in missing)


def way_to_install() -> tuple[list[str], str]:
    """Return the words to put before apt-get, and why it may not be used (empty: it may)."""
    if os.environ.get("STOCKHELM_NO_SYSTEM_PACKAGES", "") not in ("", "0"):
        return [], "STOCKHELM_NO_SYSTEM_PACKAGES is set"
    if not on_path("apt-get"):
        return [], "there is no apt-get here"
    if os.geteuid() == 0:
        return [], ""
    if on_path("sudo"):
        probe = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
        if probe.returncode == 0:
            return ["sudo", "-n"], ""
    return [], "this user is not root and has no sudo without a password"


def apt_install(as_root: Sequence[str], packages: Sequence[SystemPackage]) -> None:
    """Install all at once, and one by one where a name is unknown: it then costs only itself."""
    apt = [
        *as_root,
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "NEEDRESTART_SUSPEND=1",
        "apt-get",
        "-q",
        "-o",
        "Acquire::Retries=1",
        "-o",
        "Acquire::http::Timeout=20",
        "-o",
        "DPkg::Lock::Timeout=120",
        "-o",
        "Dpkg::Use-Pty=0",
    ]
    APT_LOG.write_bytes(b"")
    logged([*apt, "update"], limit_s=APT_UPDATE_S_MAX)
    install = [*apt, "install", "--yes", "--no-install-recommends"]
    names = [package.name for package in packages]
    if logged([*install, *names], limit_s=APT_INSTALL_S_MAX) or len(names) == 1:
        return
    if any(words in APT_LOG.read_text(errors="replace") for words in APT_UNKNOWN_NAME):
        for name in names:
            logged([*install, name], limit_s=APT_INSTALL_S_MAX)


def logged(command: Sequence[str], *, limit_s: float) -> bool:
    """Return whether the command succeeded; its output goes to the log, its end is shown if not."""
    started_s = time.monotonic()
    with (
        APT_LOG.open("ab") as log,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        ) as process,
    ):
        while True:
            try:
                code = process.wait(timeout=STILL_AT_IT_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                elapsed_s = time.monotonic() - started_s
                if elapsed_s > limit_s:
                    process.terminate()
                    say(f"gave up on apt-get after {elapsed_s:.0f} s")
                    return False
                say(f"    apt-get is at it for {elapsed_s:.0f} s")
    if code != 0:
        say(f"apt-get ended with {code}; the end of {APT_LOG.name}:")
        for line in APT_LOG.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]:
            say(f"    {line}")
    return code == 0


def keep_broker_service_down(as_root: Sequence[str], missing: Sequence[SystemPackage]) -> bool:
    """Return whether the unit is masked for the time of the installation.

    Debian starts and enables mosquitto.service (port 1883) as it installs the package. stockhelm
    starts a broker of its own, so a fresh installation shall not leave a second one running.
    Without systemd (a container, a chroot) Debian starts no service by itself.
    """
    if not Path("/run/systemd/system").is_dir():
        return False
    if all(package.name != "mosquitto" for package in missing):
        return False
    say("    its system service stays off: stockhelm starts a broker of its own")
    return quiet([*as_root, "systemctl", "mask", "--runtime", "mosquitto.service"])


def release_broker_service(as_root: Sequence[str]) -> None:
    """Leave the unit as a person would want it: off at boot, free to be switched on by hand."""
    quiet([*as_root, "systemctl", "disable", "mosquitto.service"])
    quiet([*as_root, "systemctl", "unmask", "--runtime", "mosquitto.service"])


def quiet(command: Sequence[str], *, limit_s: float = 60.0) -> bool:
    """Return whether the command succeeded within its time; nothing is shown."""
    try:
        return (
            subprocess.run(command, capture_output=True, check=False, timeout=limit_s).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


# --- virtual environment -------------------------------------------------------------------------


def provide_environment(sections: Sequence[str], *, lock_fd: int) -> bool:
    """Return whether anything was installed into the virtual environment."""
    stamp = read_stamp()
    usable = why_unusable(stamp) is None
    stale = [s for s in sections if not usable or stamp.get(s) != fingerprint(s)]
    if not stale:
        return False
    make_environment(lock_fd=lock_fd)
    UNFINISHED.touch()
    STAMP.unlink(missing_ok=True)
    files = [name for section in stale for name in LOCK_FILES[section]]
    say(f"installing the Python packages of {', '.join(files)}")
    if "run" in stale and any(VENV.glob("lib/*/site-packages/opencv_python_headless-*.dist-info")):
        pip(["uninstall", "--yes", "--quiet", "opencv-python-headless"], lock_fd=lock_fd)
    wanted = [word for name in files for word in ("-r", name)]
    pip(["install", "--require-hashes", "--no-deps", *wanted], lock_fd=lock_fd)
    if "run" in stale:
        make_opencv_load(lock_fd=lock_fd)
        # No build isolation: the back end came with the lock and is the same everywhere.
        pip(
            ["install", "--quiet", "--no-deps", "--no-build-isolation", "-e", "."],
            lock_fd=lock_fd,
        )
    fresh = dict(stamp) if usable else {}
    fresh |= {"root": str(ROOT), "python": python_of_environment()}
    fresh |= {section: fingerprint(section) for section in stale}
    write_stamp(fresh)
    UNFINISHED.unlink(missing_ok=True)
    return True


def make_environment(*, lock_fd: int) -> None:
    """Leave a virtual environment that works, made afresh where the old one cannot be trusted."""
    reason = why_unusable(read_stamp())
    if reason is None:
        return
    say(f"making {VENV.name} with {sys.executable} ({reason})")
    UNFINISHED.touch()
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    code = subprocess.run(
        command, env=clean_environment(), pass_fds=[lock_fd], check=False
    ).returncode
    if code != 0:
        raise SetupError(
            f"`{' '.join(command)}` ended with {code};"
            " on Debian `apt-get install python3-venv` helps"
        )


def why_unusable(stamp: Mapping[str, object]) -> str | None:
    """Return why the environment has to be made afresh, None when it may be built upon."""
    if not VENV_PYTHON.exists():
        return "there is none yet"
    if UNFINISHED.exists():
        return "the last set-up did not finish"
    version = python_of_environment()
    if version is None:
        return "the one here does not run"
    if stamp and stamp.get("root") != str(ROOT):
        return f"the one here was made for {stamp.get('root')}"
    if stamp and stamp.get("python") != version:
        return f"the one here was made for Python {stamp.get('python')}"
    return None


def python_of_environment() -> str | None:
    """Return the environment's Python version, None when it or its pip does not run."""
    try:
        found = subprocess.run(
            [
                VENV_PYTHON,
                "-c",
                "import pip._internal, sys; print('%d.%d' % sys.version_info[:2])",
            ],
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def make_opencv_load(*, lock_fd: int) -> None:
    """Leave an OpenCV that imports: without libGL or libgthread that is the headless build."""
    if imports("cv2"):
        return
    say("opencv-python does not load here: taking opencv-python-headless of the same version")
    pip(["uninstall", "--yes", "--quiet", "opencv-python"], lock_fd=lock_fd)
    pip(["install", "--require-hashes", "--no-deps", "-r", HEADLESS_LOCK], lock_fd=lock_fd)
    if not imports("cv2"):
        raise SetupError(
            f"OpenCV does not load: try `{VENV_PYTHON} -c 'import cv2'`;"
            " on Debian `apt-get install libgl1 libglib2.0-0` helps"
        )


def imports(module: str) -> bool:
    """Return whether the environment's Python can import the module."""
    return quiet([str(VENV_PYTHON), "-c", f"import {module}"], limit_s=120)


def pip(arguments: Sequence[str], *, lock_fd: int) -> None:
    """Run the environment's pip, its progress shown; the caller goes on only if it succeeded."""
    command = [
        str(VENV_PYTHON),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        *arguments,
    ]
    try:
        code = subprocess.run(
            command,
            cwd=ROOT,
            env=clean_environment(),
            pass_fds=[lock_fd],
            check=False,
            timeout=PIP_S_MAX,
        ).returncode
    except subprocess.TimeoutExpired:
        code = -1
    if code != 0:
        raise SetupError(
            f"`pip {' '.join(arguments)}` ended with {code}. Its own words stand above;"
            " the first set-up needs the package registry to be reachable. Run it again"
        )


def clean_environment() -> dict[str, str]:
    """Return the caller's environment without what would lead pip astray."""
    return {name: value for name, value in os.environ.items() if name not in PIP_STRAYS}


def fingerprint(section: str) -> str:
    """Return a hash over everything that decides what this section installs."""
    digest = hashlib.sha256()
    for name in LOCK_FILES[section]:
        digest.update((ROOT / name).read_bytes())
    if section == "run":
        digest.update((ROOT / HEADLESS_LOCK).read_bytes())
        digest.update(project_part((ROOT / "pyproject.toml").read_text()).encode())
    return digest.hexdigest()


def project_part(pyproject: str) -> str:
    """Return the tables that an installation depends on; settings of the linters do not count."""
    tables = re.split(r"(?m)^(?=\[)", pyproject)
    return "".join(t for t in tables if t.startswith(("[build-", "[project", "[tool.setuptools")))


def read_stamp() -> dict[str, object]:
    """Return what the last finished set-up wrote, empty when there is none."""
    try:
        found = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def not_to_be_had(stamp: Mapping[str, object]) -> list[str]:
    """Return the system packages that an earlier set-up tried for in vain."""
    names = stamp.get("not_to_be_had")
    return [str(name) for name in names] if isinstance(names, list) else []


def write_stamp(content: Mapping[str, object]) -> None:
    """Replace the stamp in one step, so that a reader sees the old or the new one."""
    fresh = STAMP.with_suffix(".new")
    fresh.write_text(json.dumps(content, indent=2))
    fresh.replace(STAMP)


# --- kernels -------------------------------------------------------------------------------------


def warm_up() -> None:
    """Compile the numba kernels now, shown, so that the first start does not wait for them."""
    if not (ROOT / "stockhelm" / "warmup.py").exists():
        return
    digest = hashlib.sha256()
    for source in sorted(ROOT.glob("*/**/kernels.py")):
        if VENV not in source.parents:
            digest.update(source.read_bytes())
    stamp = read_stamp()
    if stamp.get("kernels") == digest.hexdigest():
        return
    command = [str(VENV_PYTHON), "-m", "stockhelm.warmup"]
    try:
        code = subprocess.run(command, cwd=ROOT, check=False, timeout=WARM_UP_S_MAX).returncode
    except subprocess.TimeoutExpired:
        code = -1
    if code == 0:
        write_stamp({**stamp, "kernels": digest.hexdigest()})
    else:
        say(f"warming up ended with {code}; the kernels are compiled at the first start instead")


if __name__ == "__main__":
    sys.exit(main())
