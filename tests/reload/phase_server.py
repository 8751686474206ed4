"""An instance that serves tests/reload/phase.c, and a client that asks which build answers."""
import os
import resource
import socket

from server import Build, DEFAULT_USER, SLOW, Server, free_port


def phase_file(name="phase", build=None):
    return (build or Build()).path / "tests" / "reload" / ".libs" / f"{name}.so"


class PhaseServer(Server):
    """server options and further modules are merged; use(name) puts another build in place."""

    def __init__(self, server=None, modules=None, single=False, listeners=None):
        build = Build()
        self.phase_port = free_port()
        user = {"user": DEFAULT_USER} if os.geteuid() == 0 else {}
        phase = {"listeners": listeners or [f"127.0.0.1:{self.phase_port}"]}
        config = {"server": {**user, **(server or {})},
                  "modules": {"logging": {}, "phase": phase, **(modules or {})}}
        if not config["server"]:
            del config["server"]
        files = {"logging": build.modules()["logging"], "phase": phase_file(build=build)}
        super().__init__(config=config, build=build, single=single, module_files=files)

    def use(self, name):
        self.replace_module("phase", phase_file(name, self.build))

    def talk(self):
        return Talk(self.phase_port)

    def who(self):
        """Which build answers a new client."""
        with self.talk() as client:
            return client.greeting

    def generation(self):
        return self.generations()[0]["generation"]

    def current(self):
        """The row of the worker that serves; None if there is none."""
        rows = [row for row in self.generations() if row["state"].startswith("current")]
        return rows[0] if rows else None


class Talk:
    def __init__(self, port, timeout=20.0):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout * SLOW)
        self.pending = b""
        self.greeting = self.line()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def line(self):
        """One line without its end; None at the end of the connection."""
        while b"\n" not in self.pending:
            try:
                more = self.sock.recv(4096)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.pending += more
        line, self.pending = self.pending.split(b"\n", 1)
        return line.rstrip(b"\r").decode()

    def send(self, text):
        self.sock.sendall(text.encode())

    def ask(self, text):
        self.send(text + "\r\n")
        return self.line()


def allow_descriptors(wanted):
    """As many as wanted, or as the system lets us have; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), max(hard, min(wanted, hard))))
    return min(wanted, hard)
