"""Starting, in every mode, and being refused with a sentence that helps."""
import grp
import json
import os
import pathlib
import pwd
import signal
import socket
import subprocess

from phase_server import PhaseServer
from server import DEFAULT_USER, Skip, check, eq, free_port, wait_until


def command(postern, *options):
    return [str(postern.daemon), "--directory", str(postern.directory), "--modules",
            str(postern.module_directory), *options]


def run(line, **more):
    return subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=30, **more)


def test_usage():
    with PhaseServer() as postern:
        for options, text in ((["--foregrund"], "did you mean --foreground"),
                              (["--config"], "needs a value"), (["start"], "unexpected word"),
                              (["--print", "novel"], "sample, reference"),
                              (["--check=yes"], "takes no value")):
            result = run([str(postern.daemon), *options])
            eq(result.returncode, 2, f"exit status of {options}")
            check(text in result.stderr, result.stderr)
        eq(run([str(postern.daemon), "--help"]).returncode, 0, "exit status of --help")
        check(run([str(postern.daemon), "--version"]).stdout.startswith("posternd "), "--version")


def test_check():
    with PhaseServer() as postern:
        result = run(command(postern, "--check"))
        eq((result.returncode, result.stdout), (0, "configuration ok: 2 modules, 1 listeners\n"))
        check(not (postern.directory / "state").exists(), "--check made a directory")
        good = postern.config_file.read_text()
        postern.write_config(good + "  first: {}\n  second: {}\n")
        result = run(command(postern, "--check"))
        eq(result.returncode, 1, "exit status")
        check("first" in result.stderr and "second" in result.stderr, result.stderr)


def test_failed_start_tells_all():
    """In the foreground and as a daemon: every error, exit 1, nothing left behind."""
    with PhaseServer() as postern:
        good = postern.config_file.read_text()
        postern.write_config(good + "  first: {}\n  second: {}\n")
        for options in (["--foreground"], []):
            result = run(command(postern, *options))
            eq(result.returncode, 1, "exit status")
            check("first" in result.stderr and "second" in result.stderr, result.stderr)
            wait_until(lambda: not postern.processes(), 10, "the end of all processes")
            eq(os.listdir(postern.directory / "run"), [], "left in run")
        postern.write_config(good)
        postern.use("phase_crashes_start")
        result = run(command(postern))
        eq(result.returncode, 1, "exit status")
        check("SIGSEGV" in result.stderr, result.stderr)


def test_daemon():
    """Without --foreground: returns 0 when it serves; pid file; stop removes it."""
    with PhaseServer() as postern:
        result = run(command(postern))
        eq((result.returncode, result.stdout, result.stderr), (0, "", result.stderr))
        eq(postern.who(), "one", "greeting right after the start")
        pid_file = postern.directory / "run" / "posternd.pid"
        pid = int(pid_file.read_text())
        try:
            eq(pathlib.Path(f"/proc/{pid}/exe").resolve(), postern.daemon.resolve(), "program")
            eq(os.readlink(f"/proc/{pid}/fd/0"), "/dev/null", "standard input")
            postern.reload()
            eq(postern.who(), "one", "greeting after a reload")
        finally:
            postern.ctl("stop")
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 10, "the daemon's end")
        check(not pid_file.exists(), "the pid file is still there")
        check("generation 1 serves" in postern.log(), "supervisor.log")


def test_daemon_outlives_its_parent():
    """Whoever waits for the start may lose patience: it goes on, and ends in order."""
    with PhaseServer(server={"ready_deadline": "2s"}) as postern:
        postern.use("phase_hangs_start")
        parent = subprocess.Popen(command(postern), stdin=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE)
        log = postern.directory / "log" / "supervisor.log"
        wait_until(lambda: log.exists() and "starts" in log.read_text(), 10, "the start")
        parent.kill()
        parent.wait()
        parent.stderr.close()
        wait_until(lambda: "not ready within" in log.read_text(), 20, "the reason in the log")
        wait_until(lambda: "has stopped" in log.read_text(), 20, "an orderly end")


def test_strange_parents():
    """SIGCHLD ignored, SIGPIPE fatal, no standard descriptors: what a parent leaves behind."""
    with PhaseServer(server={"probation": "0"}) as postern:
        postern.start(wrapper=["sh", "-c", "trap '' CHLD; exec \"$@\"", "sh"])
        os.kill(postern.current()["pid"], signal.SIGKILL)
        wait_until(lambda: (postern.current() or {}).get("generation") == 2, 10, "a new worker")
        eq(postern.stop(), 0, "exit status")
    with PhaseServer() as postern:
        postern.start(wrapper=["sh", "-c", "exec \"$@\" <&- >&- 2>&- 9</etc/passwd", "sh"])
        postern.use("phase_fails_test")
        check("two and two" in postern.reload(fails=True).stderr, "a refused reload")
        worker = postern.current()["pid"]
        eq(os.readlink(f"/proc/{postern.pid}/fd/2"), "/dev/null", "standard error")
        eq((postern.directory / "state/posternd.lock").read_text(), f"{postern.pid}\n", "lock file")
        held = [os.readlink(f"/proc/{worker}/fd/{fd}") for fd in os.listdir(f"/proc/{worker}/fd")]
        check("/etc/passwd" not in held, f"the worker inherited a descriptor: {held}")


def test_log_reader_that_is_gone_or_sleeps():
    """Standard error is a pipe: nobody at its other end, or nobody who reads."""
    with PhaseServer() as postern:
        reading, writing = os.pipe()
        process = subprocess.Popen(command(postern, "--foreground"), stdin=subprocess.DEVNULL,
                                   stderr=writing)
        os.close(writing)
        try:
            wait_until(lambda: (postern.directory / "run/control.sock").exists(), 10, "the socket")
            wait_until(lambda: postern.current(), 20, "the first worker")
            for _ in range(3):
                postern.ctl("reopen-logs")
            with open(f"/proc/{process.pid}/fd/2", "wb", buffering=0) as full:
                os.set_blocking(full.fileno(), False)
                for piece in (b"x" * 4096, b"x"):
                    try:
                        while True:
                            full.write(piece) or os.stat("/nowhere")
                    except OSError:
                        pass
            postern.ctl("reopen-logs")
            postern.ctl("status")
            os.close(reading)
            postern.ctl("reopen-logs")
            postern.reload()
            postern.ctl("stop")
            eq(process.wait(20), 0, "exit status")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def test_pid_file():
    with PhaseServer() as postern:
        place = postern.scratch / "own.pid"
        postern.start("--pid-file", place)
        eq(int(place.read_text()), postern.pid, "pid")
        postern.stop()
        check(not place.exists(), "the pid file is still there")


def test_second_daemon():
    with PhaseServer() as postern:
        postern.start()
        result = run(command(postern, "--foreground"))
        eq(result.returncode, 1, "exit status")
        check(f"process {postern.pid}" in result.stderr, result.stderr)
        eq(postern.who(), "one", "greeting of the first")
        postern.ctl("status")
        check((postern.directory / "run" / "posternd.pid").exists(), "the first one's pid file")


def test_port_in_use():
    with PhaseServer() as postern, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        listeners = postern.conf["modules"]["phase"]["listeners"]
        listeners += [f"127.0.0.1:{port}", f"192.0.2.77:{port}"]
        postern.write_config()
        result = run(command(postern, "--foreground"))
        eq(result.returncode, 1, "exit status")
        # who it is takes a search that is given up on a machine that is too busy
        check(f"(process {os.getpid()}) listens on port {port}" in result.stderr or
              f"127.0.0.1:{port}: another program listens there" in result.stderr, result.stderr)
        check("192.0.2.77" in result.stderr and "no such address" in result.stderr, result.stderr)
        del listeners[1:]
        postern.write_config()
        postern.start()
        listeners.append(f"127.0.0.1:{port}")
        postern.write_config()
        check(f"127.0.0.1:{port}: " in postern.reload(fails=True).stderr, "refused reload")
        eq(postern.who(), "one", "greeting")


def test_unknown_user():
    if os.geteuid() != 0:
        raise Skip("needs root")
    with PhaseServer(server={"user": "nobody-at-all"}) as postern:
        for options in (["--foreground"], ["--check"]):
            result = run(command(postern, *options))
            eq(result.returncode, 1, "exit status")
            check("adduser --system" in result.stderr, result.stderr)
    with PhaseServer(server={"user": "root"}) as postern:
        check("is root" in run(command(postern, "--foreground")).stderr, "root as user")


def test_unreachable_directory():
    if os.geteuid() != 0:
        raise Skip("needs root")
    with PhaseServer() as postern:
        postern.scratch.chmod(0o700)
        result = run(command(postern, "--foreground"))
        eq(result.returncode, 1, "exit status")
        check(f"user {DEFAULT_USER} cannot get there" in result.stderr, result.stderr)


def test_linked_state_is_not_given_away():
    """Root gives a directory to the user, but not what a link in its place leads to."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    with PhaseServer() as postern:
        elsewhere = postern.scratch / "elsewhere"
        elsewhere.mkdir()
        (postern.directory / "state").symlink_to(elsewhere)
        result = run(command(postern, "--foreground"))
        eq(result.returncode, 1, "exit status")
        check("is a symbolic link to a directory of another user" in result.stderr, result.stderr)
        eq(elsewhere.stat().st_uid, 0, "owner of what the link leads to")


def status_fields(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_worker_has_no_rights():
    if os.geteuid() != 0:
        raise Skip("needs root")
    with PhaseServer() as postern:
        postern.start()
        user = pwd.getpwnam(DEFAULT_USER)
        fields = status_fields(postern.current()["pid"])
        eq(set(fields["Uid"].split()), {str(user.pw_uid)}, "uids")
        eq(set(fields["Gid"].split()), {str(user.pw_gid)}, "gids")
        check(set(fields["Groups"].split()) <= {str(user.pw_gid)}, "groups")
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            eq(int(fields[name], 16), 0, name)
        eq(fields["NoNewPrivs"], "1", "NoNewPrivs")
        if "seccomp" in postern.ctl("status"):
            eq(fields["Seccomp"], "2", "seccomp")
        for name in ("state", "log", "run"):
            eq((postern.directory / name).stat().st_uid, user.pw_uid, f"owner of {name}")


def test_without_root():
    """A user of no special rights runs an instance of its own."""
    if os.geteuid() != 0:
        raise Skip("needs root to become somebody else")
    with PhaseServer() as postern:
        uid = pwd.getpwnam(DEFAULT_USER).pw_uid
        for path in [postern.scratch, postern.directory, postern.config_file,
                     postern.module_directory, *postern.module_directory.iterdir()]:
            os.chown(path, uid, -1)
        postern.start(wrapper=["setpriv", f"--reuid={uid}", "--regid=65534", "--clear-groups"])
        eq(postern.who(), "one", "greeting")
        eq(set(status_fields(postern.current()["pid"])["Uid"].split()), {str(uid)}, "uids")
        postern.use("phase_two")
        postern.reload()
        eq(postern.who(), "two", "greeting")
        postern.conf["modules"]["phase"]["listeners"].append("127.0.0.1:81")
        postern.write_config()
        if int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) > 81:
            check("ports below 1024" in postern.reload(fails=True).stderr, "low port")


def test_single():
    """One process; everything works but reload."""
    with PhaseServer(single=True) as postern:
        postern.start()
        eq(postern.who(), "one", "greeting")
        eq(postern.workers(), [], "workers")
        check("cannot reload" in postern.reload(fails=True).stderr, "reload is refused")
        postern.signal(signal.SIGHUP)
        postern.wait_log("cannot reload")
        eq(postern.ctl("modules", json_output=True)[1]["name"], "phase", "modules")
        eq(postern.stop(), 0, "exit status")
    with PhaseServer(single=True) as postern:
        postern.use("phase_fails_test")
        result = postern.run()
        eq(result.returncode, 1, "exit status")
        check("two and two are five" in result.stderr, result.stderr)


def offline(postern, request):
    """What posternctl --offline does."""
    ours, theirs = socket.socketpair()
    with ours:
        os.set_inheritable(theirs.fileno(), True)
        process = subprocess.Popen(command(postern, "--offline-fd", str(theirs.fileno())),
                                   pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
        theirs.close()
        ours.settimeout(20)
        ours.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while more := ours.recv(65536):
            answer += more
        process.stderr.read()
        process.stderr.close()
        return process.wait(20), json.loads(answer.splitlines()[-1])


def test_offline():
    with PhaseServer() as postern:
        status, answer = offline(postern, {"version": 1, "command": "modules"})
        eq((status, answer["ok"]), (0, True))
        eq(answer["result"][1]["name"], "phase", "modules")
        status, answer = offline(postern, {"version": 1, "command": "nonsense"})
        eq(answer["ok"], False)
        postern.start()
        status, answer = offline(postern, {"version": 1, "command": "modules"})
        eq(status, 1, "exit status")
        check("leave out --offline" in answer["error"], answer)
        postern.stop()
        postern.write_config(postern.config_file.read_text() + "  nonsense: {}\n")
        status, answer = offline(postern, {"version": 1, "command": "modules"})
        check("nonsense" in answer["error"], answer)


def test_control_group():
    if os.geteuid() != 0:
        raise Skip("needs root")
    group = grp.getgrnam("mail")
    with PhaseServer(server={"control": {"group": group.gr_name}}) as postern:
        postern.start()
        path = postern.directory / "run" / "control.sock"
        eq((path.stat().st_gid, path.stat().st_mode & 0o777), (group.gr_gid, 0o660), "socket")
        ctl = [str(postern.control), "--directory", str(postern.directory), "status"]
        member = ["setpriv", "--reuid=1", "--regid=1", f"--groups={group.gr_gid}"]
        stranger = ["setpriv", "--reuid=1", "--regid=1", "--clear-groups"]
        eq(run(member + ctl).returncode, 0, "a member's exit status")
        check(run(stranger + ctl).returncode != 0, "a stranger got an answer")
        path.chmod(0o666)
        result = run(stranger + ctl)
        check("not permitted" in result.stderr, result.stderr)
    with PhaseServer(server={"control": {"group": "no-such-group"}}) as postern:
        check("addgroup" in run(command(postern, "--foreground")).stderr, "unknown group")


def test_listeners_of_all_kinds():
    port = free_port()
    with PhaseServer() as postern:
        listeners = postern.conf["modules"]["phase"]["listeners"]
        listeners += [f"[::1]:{port}", f"127.0.0.1:{port}", "unix:{run}/phase.sock"]
        postern.write_config()
        postern.start()
        for family, address in ((socket.AF_INET6, ("::1", port)),
                                (socket.AF_INET, ("127.0.0.1", port)),
                                (socket.AF_UNIX, str(postern.directory / "run/phase.sock"))):
            with socket.socket(family) as client:
                client.connect(address)
                check(client.recv(100).startswith(b"one"), f"greeting on {address}")
        eq(len(postern.ctl("listeners", json_output=True)), 4, "listeners")
        postern.stop()
        check(not (postern.directory / "run/phase.sock").exists(), "the socket file is there")
