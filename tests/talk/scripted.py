"""A control server that says what a test wants, for tests of posternctl."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading

from server import SLOW, Build, check

TABLE = [
    {"name": "status", "help": "How the server is.", "args": []},
    {"name": "generations", "help": "Live workers.", "args": []},
    {"name": "account list", "help": "List accounts.", "args": [
        {"name": "domain", "kind": "option", "optional": True, "help": "Of one domain only."},
        {"name": "disabled", "kind": "switch", "optional": True, "help": "Disabled ones too."}]},
    {"name": "account add", "help": "Make an account.", "changes": True, "args": [
        {"name": "user", "kind": "text", "help": "Its name."},
        {"name": "limit", "kind": "number", "optional": True, "help": "Sessions."},
        {"name": "password", "kind": "secret", "confirm": True, "help": "Its password."}]},
    {"name": "mailbox deliver", "help": "Deliver a message.", "changes": True, "args": [
        {"name": "user", "kind": "text", "help": "To whom."},
        {"name": "message", "kind": "input", "help": "The message."}]},
    {"name": "mailbox import", "help": "Import mail.", "changes": True, "args": [
        {"name": "user", "kind": "text", "help": "Whose."},
        {"name": "path", "kind": "file", "help": "An mbox or a Maildir."}]},
    {"name": "mailbox", "help": "All mailboxes.", "args": []},
    {"name": "mailbox fetch", "help": "A message.", "args": [
        {"name": "user", "kind": "text", "help": "Whose."},
        {"name": "number", "kind": "number", "help": "Which."}]},
    {"name": "sessions", "help": "Who is on.", "args": [], "each_generation": True},
]


class Scripted:
    """answers: command -> list of objects (one a line) or a function of the request's dict."""

    def __init__(self, answers=None, table=TABLE):
        self.answers = {"help": [{"ok": True, "result": table}], **(answers or {})}
        self.requests = []  # (request, [octets of each file])
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="postern-ctl-"))
        (self.directory / "run").mkdir()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.directory / "run" / "control.sock"))
        self.listener.listen(16)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5 * SLOW)
        shutil.rmtree(self.directory)

    def _serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            with client:
                self._answer(client)

    def _answer(self, client):
        text, fds, _, _ = socket.recv_fds(client, 65536, 4)
        while not text.endswith(b"\n"):
            more = client.recv(65536)
            if not more:
                return
            text += more
        request = json.loads(text)
        files = [self._take(fd) for fd in fds]
        if request["command"] != "help":
            self.requests.append((request, files))
        answer = self.answers.get(request["command"],
                                  [{"ok": False, "error": "there is no such command"}])
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, bytes):
            client.sendall(answer)
            return
        for line in answer:
            client.sendall(json.dumps(line).encode() + b"\n")

    @staticmethod
    def _take(fd):
        with os.fdopen(fd, "rb") as file:
            return file.read()

    def ctl(self, *words, input=b"", environment=None, directory=True):
        line = [str(Build().program("posternctl"))]
        line += ["--directory", str(self.directory)] if directory else []
        return subprocess.run(line + [str(word) for word in words], input=input,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30 * SLOW,
                              env={**os.environ, **(environment or {})})

    def ok(self, *words, **more):
        result = self.ctl(*words, **more)
        check(result.returncode == 0, f"{words}: {result.returncode}: {result.stderr.decode()}")
        return result.stdout.decode()

    def fails(self, status, *words, **more):
        result = self.ctl(*words, **more)
        check(result.returncode == status,
              f"{words}: exit {result.returncode}, expected {status}: {result.stderr.decode()}")
        return result.stderr.decode()
