# SPDX-License-Identifier: GPL-2.0-or-later
"""Download Debian packages without changing anything on the machine.

apt is given a configuration of its own: its list of sources is derived, at
run time, from the Debian entries that this machine already uses, and its
lists, caches and downloads live in a cache folder of the user.  Nothing is
installed and /etc/apt is only read.  No privilege is needed.

    download_binary("busybox-static", "bookworm")   -> [Path of the .deb]
    download_ahead(["zstd", "busybox"], "bookworm")  (many at once, for later)
    download_source("qemu", "7.2", "bookworm")      -> [Path of the .dsc, ...]
    depends("linux-image-amd64", "bookworm")        -> ["linux-image-6.1..."]

What was downloaded once, and still has the checksum that apt verified, is
returned without any network.  Two runs at the same time wait for each other.
All failures are AptError.
"""

import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from harness import Error, files, say
from harness.aptsources import sources_text

say_fetch = functools.partial(say, "fetch")

# Seconds before one more attempt: mirrors have bad moments, and their indexes
# are at times newer than the files they name.
PAUSES = (5, 30, 90)

# What apt-get says of a package that the index does not name any more
GONE = "E: Unable to locate package"


class AptError(Error):
    """A download that did not work."""


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "qemu-ebpf"


def host_release():
    """Return the code name of the release that this machine runs."""
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        text = ""
    found = re.search(r'^VERSION_CODENAME="?([a-z]+)', text, re.MULTILINE)
    return found.group(1) if found else "bookworm"


# --- an apt that keeps to itself ----------------------------------------

class PrivateApt:
    """apt for one suite, with all its state in one folder of the cache."""

    def __init__(self, suite, kind):
        self.suite = suite
        self.kind = kind
        self.home = cache_dir() / "apt" / f"{suite}-{kind}"
        self.files = cache_dir() / "debian" / suite
        self.updated = self.home / "updated"

        self._lock = contextlib.ExitStack()

    def __enter__(self):
        try:
            for folder in (self.files, self.home / "lists/partial",
                           self.home / "cache/archives/partial"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AptError(f"the cache folder {cache_dir()} cannot be "
                           f"written: {error.strerror}") from error
        self._lock.enter_context(files.locked(
            self.home / "lock", say_fetch, f"downloads from {self.suite}"))
        self._write_configuration()
        return self

    def __exit__(self, *unused):
        self._lock.close()

    def _write_configuration(self):
        """Write apt's configuration, read after the machine's own.

        The machine's proxy, authentication and TLS settings stay in force.
        The status file is empty, so that what happens to be installed has
        no say in which version is taken.
        """
        home = self.home
        (home / "status").touch()
        settings = {
            "Dir::Etc::SourceList": home / "private.sources",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State": home,
            "Dir::State::Lists": home / "lists",
            "Dir::State::Status": home / "status",
            "Dir::Cache": home / "cache",
            "Dir::Cache::Archives": home / "cache/archives",
            "Dir::Cache::pkgcache": home / "cache/pkgcache.bin",
            "Dir::Cache::srcpkgcache": "",
            "Acquire::GzipIndexes": "true",
            "APT::Sandbox::User": "root",
            "Acquire::PDiffs": "false",
            "Acquire::Retries": 5,
            "quiet": 2,
        }
        hooks = ("APT::Update::Pre-Invoke", "APT::Update::Post-Invoke",
                 "APT::Update::Post-Invoke-Success")
        text = "".join(f'{name} "{value}";\n'
                       for name, value in settings.items())
        text += "".join(f"#clear {name};\n" for name in hooks)
        (home / "apt.conf").write_text(text)

        self._write_sources()

    def _write_sources(self):
        """Write the entries; a change makes the fetched index stale."""
        foreign = ()
        if (self.home / "foreign").exists():
            foreign = (self.home / "foreign").read_text().split()
        sources = sources_text(self.suite, self.kind, foreign)
        if not sources:
            raise AptError(
                "no Debian package source was found in /etc/apt/sources.list "
                "or /etc/apt/sources.list.d (looked for an entry of Debian "
                "itself with the component 'main')")
        file = self.home / "private.sources"
        if not file.exists() or file.read_text() != sources:
            self.updated.unlink(missing_ok=True)
            file.write_text(sources)

    def run(self, tool, *arguments, cwd=None):
        """Run apt-get or apt-cache; return (exit status, output)."""
        command = ["setpriv", "--pdeathsig", "TERM", tool,
                   "-c", str(self.home / "apt.conf"), *arguments]
        try:
            done = subprocess.run(command, cwd=cwd or self.home, text=True,
                                  env={**os.environ, "LC_ALL": "C.UTF-8"},
                                  stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        except FileNotFoundError as error:
            raise AptError(f"{error.filename} is missing; this needs Debian's "
                           "apt and util-linux") from error
        return done.returncode, done.stdout

    def wait(self, error, pause):
        say_fetch(f"{error}\n        trying again in {pause} s …")
        time.sleep(pause)

    def update(self):
        """Fetch the index; try several times."""
        for pause in PAUSES:
            try:
                return self.update_once()
            except AptError as error:
                self.wait(error, pause)
        return self.update_once()

    def update_once(self):
        """Fetch the index, and drop entries that are not Debian's own."""
        say_fetch(f"package index of {self.suite} ({self.kind}) …")
        _, output = self.run("apt-get", "update")
        _, targets = self.run("apt-get", "indextargets", "--format",
                              "$(ORIGIN)|$(REPO_URI)|$(RELEASE)")
        rows = {tuple(line.split("|")) for line in targets.splitlines()
                if line.count("|") == 2}
        if not any(row[0].startswith("Debian") for row in rows):
            raise AptError(
                f"no package index of Debian {self.suite} ({self.kind}) could "
                "be fetched from the mirrors that this machine uses. "
                + last_errors(output))
        foreign = {row[1].rstrip("/") for row in rows
                   if not row[0].startswith("Debian")}
        if foreign:
            (self.home / "foreign").write_text("\n".join(sorted(foreign)))
            self._write_sources()
            self.run("apt-get", "update")
        self.updated.touch()

    def query(self, *arguments):
        """Run apt-cache, after fetching the index if there is none."""
        if not self.updated.exists():
            self.update()
        return self.run("apt-cache", *arguments)[1]

    def fetch(self, names, *command):
        """Run an apt-get that downloads files into its current folder.

        Files appear in self.files only when complete and verified by apt.
        `command` is called again with a fresh index if a file is gone.
        """
        for pause in (*PAUSES, None):
            for rest in self.home.glob("partial-*"):    # interrupted runs
                shutil.rmtree(rest, ignore_errors=True)
            partial = tempfile.mkdtemp(prefix="partial-", dir=self.home)
            status, output = self.run("apt-get", *command, cwd=partial)
            if status == 0:
                break
            shutil.rmtree(partial, ignore_errors=True)
            error = AptError(f"{names} could not be downloaded. "
                             + last_errors(output))
            if pause is None or GONE in output:
                raise error
            self.wait(error, pause)
            with contextlib.suppress(AptError):     # the old index may do
                self.update_once()
        paths = []
        for file in sorted(Path(partial).iterdir()):
            paths.append(self.files / file.name)
            file.replace(paths[-1])
        os.rmdir(partial)
        return paths


def last_errors(output):
    """Return the lines of apt's output that say what went wrong."""
    lines = [line.strip() for line in output.splitlines() if
             re.match(r"\s*(E:|W:|Err:)", line)]
    return "apt said: " + ("; ".join(lines[-3:]) or output.strip()[-300:]
                           or "nothing")


# --- what was downloaded, and is intact ---------------------------------

def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_path(suite, name):
    """Return where it is written down which files answer a request."""
    return cache_dir() / "debian" / suite / "records" / (name + ".json")


def recorded(suite, name):
    """Return the files of an earlier download if they are intact."""
    file = record_path(suite, name)
    try:
        entries = json.loads(file.read_text())
        paths = [file.parent.parent / entry["file"] for entry in entries]
        if paths and all(sha256(path) == entry["sha256"]
                         for path, entry in zip(paths, entries)):
            return paths
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def write_record(suite, name, paths):
    """Write down that `paths` answer the request."""
    files.replace(record_path(suite, name), json.dumps(
        [{"file": path.name, "sha256": sha256(path)} for path in paths],
        indent=1).encode())


def fields_of(stanzas, *names):
    """Yield, for each paragraph of apt-cache's output, the named fields."""
    for stanza in stanzas.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza,
                                 re.MULTILINE))
        if names[0] in fields:
            yield [fields.get(name, "") for name in names]


def newest(versions):
    best = None
    for version in versions:
        if best is None or subprocess.run(
                ["dpkg", "--compare-versions", version, "gt",
                 best]).returncode == 0:
            best = version
    return best


def find_version(apt, package, command, prefix=""):
    """Return (version, size) of the newest package with this upstream version.

    AptError if a new index has none, either.
    """
    for update in (lambda: None, apt.update):
        update()
        rows = {version: size for name, version, size in fields_of(
                    apt.query(*command, package), "Package", "Version", "Size")
                if name == package and
                re.match(re.escape(prefix) + (r"(?!\d)" if prefix else ""),
                         version.split(":")[-1])}
        if rows:
            version = newest(rows)
            return version, int(rows[version] or 0)
    raise AptError(f"there is no {package} {prefix}".rstrip()
                   + f" in Debian {apt.suite} ({apt.kind})")


# --- the functions for others -------------------------------------------

def _answer(suite, kind, record, get, refresh=False):
    """Return the recorded files, else what get(PrivateApt) returns."""
    paths = None if refresh else recorded(suite, record)
    if paths:
        return paths
    with PrivateApt(suite, kind) as apt:
        paths = None if refresh else recorded(suite, record)
        if not paths:               # else another run was faster
            if refresh:
                apt.update()
            paths = get(apt)
            write_record(suite, record, paths)
    return paths


def download_binary(package, suite=None):
    """Return [path] of the package's newest .deb in `suite`."""
    suite = suite or host_release()

    def get(apt):
        version, size = find_version(apt, package, ["show"])
        say_fetch(f"{package} {version} from {suite}, "
                  f"{(size + 999999) // 1000000} MB …")
        # The index may have been renewed by fetch: name no version there.
        return apt.fetch(package, "download", package)

    return _answer(suite, "deb", package, get)


def download_ahead(packages, suite=None):
    """Download in one go what download_binary() will be asked for.

    Each call of apt takes a second or two.  What is here already is left alone,
    and so are names that no package has.
    """
    suite = suite or host_release()
    missing = [name for name in packages if not recorded(suite, name)]
    if len(missing) < 2:
        return
    with PrivateApt(suite, "deb") as apt:
        known = sorted({name for name, in fields_of(
            apt.query("show", *missing), "Package")}.intersection(missing))
        if not known:
            return
        say_fetch(f"{len(known)} packages from {suite}: {', '.join(known)} …")
        for path in apt.fetch(f"{len(known)} packages", "download", *known):
            write_record(suite, path.name.partition("_")[0], [path])


def download_source(package, version_prefix, suite, refresh=False):
    """Return the paths of a source package, the .dsc first.

    `version_prefix` is an upstream version such as "7.2": the newest version
    that begins with it is taken.  With `refresh` the index is asked again even
    when a file is there.
    """
    def get(apt):
        version, _ = find_version(apt, package, ["showsrc", "--only-source"],
                                  version_prefix)
        say_fetch(f"source of {package} {version} from {suite} …")
        return sorted(
            apt.fetch(f"the source of {package}", "source", "--download-only",
                      "--only-source", f"{package}={version}"),
            key=lambda path: path.suffix != ".dsc")

    return _answer(suite, "deb-src", f"source-{package}-{version_prefix}", get,
                   refresh)


def depends(package, suite):
    """Return the names on which the package's newest version depends."""
    with PrivateApt(suite, "deb") as apt:
        version, _ = find_version(apt, package, ["show"])
        for _, this, text in fields_of(apt.query("show", package), "Package",
                                       "Version", "Depends"):
            if this == version:
                return re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9.+-]*)",
                                  text)
    return []
