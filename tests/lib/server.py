"""A Postern of one's own for a scene test: scratch directory, free loopback ports, always stopped.

    from server import Server

    def test_stat():
        with Server() as postern:
            postern.start()
            postern.add_account("ann@example.org", "secret")
            postern.deliver("ann@example.org", b"Subject: hi\\r\\n\\r\\nhello\\r\\n")
            with postern.pop3() as pop:
                pop.login("ann@example.org", "secret")
                eq(pop.ok("STAT"), "+OK 1 ...")

The build tree is POSTERN_BUILD (default: build/ in the checkout). Only python3's standard library
is used. When a scene fails, the instance's configuration and logs are printed and then removed;
POSTERN_KEEP=1 keeps the scratch directory.
"""
import atexit
import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SLOW = float(os.environ.get("POSTERN_SLOW", "1"))  # sanitizers and valgrind: a factor for patience


class Failure(AssertionError):
    """A scene did not go as it has to."""


class Skip(Exception):
    """A scene cannot be played here; says why."""


class CommandFailed(Failure):
    """posternctl said no. result is the subprocess.CompletedProcess."""

    def __init__(self, text, result):
        super().__init__(text)
        self.result = result


def check(condition, text="condition does not hold"):
    if not condition:
        raise Failure(text)


def eq(found, expected, what="value"):
    if found != expected:
        raise Failure(f"{what}: found {_short(found)}, expected {_short(expected)}")


def _short(value):
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:300]} ... ({len(text)} characters)"


def wait_until(condition, seconds=10.0, what="the condition", step=0.02):
    """Return the first true value of condition(); fail after a bounded time."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"{what} did not come true within {seconds * SLOW:g} s")
        time.sleep(step)


_given_ports = set()


def free_port(host="127.0.0.1"):
    """A TCP port that nobody listens on now; never the same one twice in a process."""
    while True:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        if port not in _given_ports:
            _given_ports.add(port)
            return port


def yaml(value, indent=0):
    """Plain data as block YAML, strings quoted."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        return "".join(f"{pad}{key}:{_yaml_item(item, indent)}" for key, item in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{pad}-{_yaml_item(item, indent)}" for item in value)
    return f"{pad}{_yaml_scalar(value)}\n"


def _yaml_item(item, indent):
    if isinstance(item, (dict, list)) and item:
        return "\n" + yaml(item, indent + 1)
    return f" {_yaml_scalar(item)}\n"


def _yaml_scalar(value):
    if isinstance(value, pathlib.Path):
        value = str(value)
    return json.dumps(value, ensure_ascii=False)


# ---- build tree ---------------------------------------------------------------------------------


class Build:
    """A configured and built tree."""

    def __init__(self, path=None):
        self.path = pathlib.Path(path or os.environ.get("POSTERN_BUILD") or ROOT / "build").resolve()
        if not (self.path / "posternd").exists():
            raise Failure(f"no posternd in {self.path}: build first, or set POSTERN_BUILD")

    def program(self, name):
        """The real executable: libtool may have put a script in its place."""
        plain = self.path / name
        real = plain.parent / ".libs" / plain.name
        with open(plain, "rb") as file:
            is_script = file.read(2) == b"#!"
        return real if is_script and real.exists() else plain

    def modules(self):
        """name -> path of every module file that was built, those made for tests included."""
        found = {}
        for folder in ("tests/modules/.libs", "modules/.libs"):
            for path in sorted((self.path / folder).glob("*.so")):
                found[path.stem] = path
        return found

    def has(self, define):
        """Whether config.h defines the name to 1."""
        try:
            return f"#define {define} 1\n" in (self.path / "config.h").read_text()
        except OSError:
            return False


# ---- POP3 ---------------------------------------------------------------------------------------


class Pop3:
    """A client that sees every octet. Status lines are str without CRLF, content is bytes."""

    def __init__(self, address, timeout=20.0, greeting=True):
        self.sock = socket.create_connection(address, timeout=timeout * SLOW)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        self.greeting = self.line() if greeting else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Close with RST, as a client that dies."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def send(self, octets):
        self.sock.sendall(octets)

    def send_line(self, text):
        self.send(_octets(text) + b"\r\n")

    def raw_line(self):
        """One line with its line end; b"" at the end of the connection."""
        while b"\n" not in self.pending:
            more = self._receive()
            if not more:
                rest, self.pending = self.pending, b""
                return rest
            self.pending += more
        line, self.pending = self.pending.split(b"\n", 1)
        return line + b"\n"

    def line(self):
        """A status line; it has to end in CRLF and to fit RFC 2449's 512 octets."""
        line = self.raw_line()
        check(line, "the server closed the connection where a reply was due")
        check(line.endswith(b"\r\n"), f"reply does not end in CRLF: {line!r}")
        check(len(line) <= 512, f"reply line has {len(line)} octets")
        return line[:-2].decode("latin-1")

    def command(self, text):
        self.send_line(text)
        return self.line()

    def ok(self, text):
        reply = self.command(text)
        check(reply == "+OK" or reply.startswith("+OK "), f"{_hide(text)}: {reply}")
        return reply

    def err(self, text):
        reply = self.command(text)
        check(reply == "-ERR" or reply.startswith("-ERR "), f"{_hide(text)}: {reply}")
        return reply

    def wire(self):
        """The octets of a multi-line reply after its status line, still stuffed, without the
        final dot line."""
        chunks, tail = [], b"\r\n"
        while True:
            seen = tail + self.pending
            at = seen.find(b"\r\n.\r\n")
            if at >= 0:
                end = at + 5 - len(tail)
                chunks.append(self.pending[:end])
                self.pending = self.pending[end:]
                return b"".join(chunks)[:-3]
            # what may be the beginning of the end stays for the next look
            chunks.append(self.pending)
            tail = seen[-4:]
            self.pending = self._receive()
            check(self.pending, "the server closed the connection within a multi-line reply")

    def text(self):
        """The rest of a multi-line reply, dot-stuffing undone."""
        wire = self.wire()
        if wire.startswith(b"."):
            check(wire.startswith(b".."), "a line starts with a single dot")
            wire = wire[1:]
        return wire.replace(b"\r\n..", b"\r\n.")

    def multi(self, text):
        """Send, expect +OK, return the content's octets, unstuffed."""
        self.ok(text)
        return self.text()

    def lines(self, text):
        """As multi(), as a list of str lines."""
        return self.multi(text).decode("latin-1").split("\r\n")[:-1]

    def login(self, user, password):
        self.ok(f"USER {user}")
        return self.ok(f"PASS {password}")

    def quit(self):
        reply = self.ok("QUIT")
        check(self.ended(), "the server keeps the connection open after QUIT")
        self.close()
        return reply

    def ended(self):
        """Whether nothing but the end of the connection comes."""
        try:
            self.pending += self._receive()
        except ConnectionResetError:
            return True
        return not self.pending

    def _receive(self):
        try:
            return self.sock.recv(262144)
        except socket.timeout:
            raise Failure("no reply in time") from None


def _octets(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def _hide(text):
    text = _octets(text).decode("latin-1")
    return "PASS ***" if text.upper().startswith("PASS ") else text


class Notifications(threading.Thread):
    """What the supervisor tells its service manager, read as it comes: (seconds, line)."""

    def __init__(self, path):
        super().__init__(daemon=True)
        path.unlink(missing_ok=True)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        path.chmod(0o777)
        self.lines = []
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                text = self.sock.recv(8192).decode(errors="replace")
                if not text:
                    return
                self.lines += [(time.monotonic(), line) for line in text.split("\n")]

    def count(self, line):
        return sum(1 for _, seen in list(self.lines) if seen == line)

    def close(self):
        # an empty datagram to itself ends the reading
        with contextlib.suppress(OSError):
            self.sock.sendto(b"", self.sock.getsockname())
        self.join(1)
        self.sock.close()


# ---- the daemon ---------------------------------------------------------------------------------

DEFAULT_USER = "nobody"  # whom a worker becomes when the scene runs as root


class Server:
    """One instance. server and modules are merged over the defaults below; config replaces all.

    listeners of pop3 default to one free port on 127.0.0.1 (self.port)."""

    def __init__(self, modules=None, server=None, config=None, build=None, single=False,
                 module_files=None):
        self.build = build if isinstance(build, Build) else Build(build)
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-"))
        self.scratch.chmod(0o755)
        self.directory = self.scratch / "instance"
        self.directory.mkdir(mode=0o755)
        self.config_file = self.directory / "postern.yaml"
        self.module_directory = self.scratch / "modules"
        self.output_file = self.scratch / "output"
        self.single = single
        self.process = None
        self.notifications = Notifications(self.scratch / "notify")
        self.daemon = self.scratch / "bin" / "posternd"
        self.control = self.build.program("posternctl")
        self.environment = {}
        self.port = free_port()
        self.conf = config if config is not None else self._defaults(modules or {}, server or {})
        self._stage(module_files)
        self.write_config()
        atexit.register(self.close)

    def _defaults(self, modules, server):
        base = {"logging": {}, "storage": {}, "accounts": {"default_domain": "example.org"},
                "pop3": {"listeners": [f"127.0.0.1:{self.port}"]}}
        for name, options in modules.items():
            if options is None:
                base.pop(name, None)
            else:
                base[name] = {**base.get(name, {}), **options}
        if os.geteuid() == 0:
            server = {"user": DEFAULT_USER, **server}
        return {"server": server, "modules": base} if server else {"modules": base}

    def _stage(self, module_files):
        """Module files and the daemon's binary, each owned by who runs the scene and replaceable."""
        self.module_directory.mkdir(mode=0o755)
        files = self.build.modules()
        if module_files is not None:
            files = {name: pathlib.Path(path) for name, path in module_files.items()}
        for name, path in files.items():
            self.replace_module(name, path)
        self.daemon.parent.mkdir(mode=0o755)
        self.replace_daemon(self.build.program("posternd"))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and kind is not Skip:
            self.show()
        self.close()

    # ---- files

    def write_config(self, text=None):
        """Write postern.yaml: text as it is, or self.conf."""
        text = yaml(self.conf) if text is None else text
        self.config_file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def replace_module(self, name, source):
        """Put a file (path or bytes) in place of a module by rename, as an upgrade does."""
        self._replace(self.module_directory / f"{name}.so", source, 0o644)

    def replace_daemon(self, source):
        self._replace(self.daemon, source, 0o755)

    @staticmethod
    def _replace(target, source, mode):
        fresh = target.with_suffix(target.suffix + ".new")
        if isinstance(source, bytes):
            fresh.write_bytes(source)
        else:
            shutil.copyfile(source, fresh)
        fresh.chmod(mode)
        fresh.rename(target)

    # ---- life

    def command_line(self, *options):
        line = [str(self.daemon), "--directory", str(self.directory),
                "--modules", str(self.module_directory), "--foreground"]
        if self.single:
            line.append("--single")
        return line + [str(option) for option in options]

    def start(self, *options, wrapper=(), ready=True, seconds=30.0):
        """Start in the foreground and wait until the daemon says READY=1."""
        check(self.process is None, "already started")
        environment = {**os.environ, **self.environment,
                       "NOTIFY_SOCKET": str(self.scratch / "notify")}
        before = self.notifications.count("READY=1")
        with open(self.output_file, "ab") as output:
            self.process = subprocess.Popen(
                [*map(str, wrapper), *self.command_line(*options)], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, cwd=self.scratch, env=environment,
                start_new_session=True)
        if ready:
            self.wait_ready(before, seconds)
        return self

    def run(self, *options, seconds=30.0):
        """Run posternd to its end (--check, a start that has to fail); a CompletedProcess."""
        return subprocess.run(self.command_line(*options), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              errors="replace", timeout=seconds * SLOW, cwd=self.scratch,
                              env={**os.environ, **self.environment})

    def wait_ready(self, before=0, seconds=30.0):
        """Wait for a READY=1 beyond the first `before` of them (start, or a reload)."""
        end = time.monotonic() + seconds * SLOW
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failure(f"posternd ended with {self.process.returncode} before it was ready")
            if self.notifications.count("READY=1") > before:
                return
            if before == 0 and not self.build.has("HAVE_SYSTEMD") and self._greets():
                return
            time.sleep(0.005)
        raise Failure(f"posternd was not ready within {seconds * SLOW:g} s")

    def _greets(self):
        with contextlib.suppress(OSError, Failure):
            with Pop3(("127.0.0.1", self.port), timeout=2):
                return True
        return False

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=20.0):
        """Wait for the daemon's end; its exit status."""
        try:
            return self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise Failure(f"posternd did not end within {seconds * SLOW:g} s") from None

    def stop(self, seconds=20.0):
        """SIGTERM, then its exit status; fails if it does not end."""
        self.signal(signal.SIGTERM)
        status = self.wait(seconds)
        self.process = None
        return status

    def kill(self):
        """SIGKILL to the supervisor, as a crash; its workers are on their own."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def close(self):
        """Leave nothing behind: no process, no file."""
        if self.scratch is None:
            return
        members = self.processes()
        if self.alive():
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5 * SLOW)
        if self.alive():
            self.process.kill()
            self.process.wait()
        self._end(members)
        self.notifications.close()
        if os.environ.get("POSTERN_KEEP"):
            print(f"kept: {self.scratch}")
        else:
            shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch = None

    def _end(self, members):
        """Whoever of our processes is still there (orphaned workers) ends now."""
        for pid in sorted(set(members) | set(self.processes())):
            with contextlib.suppress(OSError):
                if self._is_ours(pid):
                    os.kill(pid, signal.SIGKILL)

    def _is_ours(self, pid):
        """Its command line names our scratch directory."""
        try:
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            path = os.readlink(f"/proc/{pid}/exe")
        except OSError:
            return False
        return str(self.scratch) in path or str(self.scratch).encode() in line

    def processes(self):
        """pids of this instance's supervisor and workers."""
        if self.scratch is None:
            return []
        pids = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
        return [pid for pid in pids if pid != os.getpid() and self._is_ours(pid)]

    def workers(self):
        """pids of the workers: every process of the instance but the supervisor."""
        return [pid for pid in self.processes() if pid != self.pid]

    # ---- control

    def ctl(self, *words, input=None, json_output=False, fails=False, seconds=60.0):
        """posternctl. Returns standard output (str), or with json_output the decoded JSON; with
        fails=True the CompletedProcess of a command that must fail."""
        line = [str(self.control), "--directory", str(self.directory)]
        line += ["--json"] * bool(json_output) + [str(word) for word in words]
        if isinstance(input, str):
            input = input.encode()
        result = subprocess.run(line, input=input if input is not None else b"",
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                timeout=seconds * SLOW, env={**os.environ, **self.environment})
        said = " ".join(["posternctl", *map(str, words)])
        if fails:
            check(result.returncode != 0, f"{said} succeeded but has to fail")
            result.stdout = result.stdout.decode(errors="replace")
            result.stderr = result.stderr.decode(errors="replace")
            return result
        if result.returncode != 0:
            text = (result.stderr or result.stdout).decode(errors="replace").strip()
            raise CommandFailed(f"{said}: exit {result.returncode}: {text}", result)
        if json_output:
            try:
                return json.loads(result.stdout)
            except ValueError:
                raise Failure(f"{said} --json: not JSON: {result.stdout[:300]!r}") from None
        return result.stdout.decode(errors="replace")

    def ctl_bytes(self, *words, seconds=60.0):
        """posternctl's standard output as octets (mailbox fetch)."""
        line = [str(self.control), "--directory", str(self.directory), *map(str, words)]
        result = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=seconds * SLOW)
        if result.returncode != 0:
            text = result.stderr.decode(errors="replace").strip()
            raise CommandFailed(f"posternctl {' '.join(map(str, words))}: {text}", result)
        return result.stdout

    def add_account(self, user, password="secret", *options):
        return self.ctl("account", "add", user, *options, input=password + "\n")

    def deliver(self, user, message, *options):
        return self.ctl("mailbox", "deliver", user, *options, input=message)

    def import_(self, user, path, *options, seconds=300.0):
        return self.ctl("mailbox", "import", user, path, *options, seconds=seconds)

    def generations(self):
        return self.ctl("generations", json_output=True)

    def reload(self, fails=False, seconds=60.0):
        """posternctl reload; with fails=True the refusal as a CompletedProcess."""
        return self.ctl("reload", fails=fails, seconds=seconds)

    def pop3(self, timeout=20.0, greeting=True, host="127.0.0.1", port=None):
        return Pop3((host, port or self.port), timeout, greeting)

    # ---- logs

    def output(self):
        """What the daemon wrote to stdout and stderr."""
        return self.output_file.read_text(errors="replace") if self.output_file.exists() else ""

    def log(self):
        """Output and log files, joined."""
        files = sorted((self.directory / "log").glob("*")) if self.scratch else []
        texts = [path.read_text(errors="replace") for path in files if path.is_file()]
        return self.output() + "".join(texts)

    def wait_log(self, text, seconds=10.0):
        return wait_until(lambda: text in self.log(), seconds, f"{text!r} in the log")

    def show(self, lines=60):
        """For a person, after a failure."""
        if self.scratch is None:
            return
        print(f"--- {self.config_file}", file=sys.stderr)
        print(self.config_file.read_text(errors="replace"), file=sys.stderr)
        print("--- log (its end)", file=sys.stderr)
        print("\n".join(self.log().splitlines()[-lines:]), file=sys.stderr)


def uid_of_worker():
    """The user a scene's worker runs as."""
    return pwd.getpwnam(DEFAULT_USER).pw_uid if os.geteuid() == 0 else os.geteuid()
