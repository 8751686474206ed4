"""The servers that are measured: the canned floor, Postern, Dovecot. All the same from outside:
start, stop, port, how a user is called, what they use."""
import contextlib
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import mail  # noqa: E402
import meters  # noqa: E402
from server import DEFAULT_USER, Build, Failure, Pop3, Server, free_port, wait_until  # noqa: E402

PASSWORD = "secret"
FULL = "u%03u@example.org"   # users whose mailboxes hold the messages
EMPTY = "e%03u@example.org"  # users with nothing


def many_files():
    """Room for 10,000 sessions, in servers and generator."""
    for limit in (200000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return


class Peer:
    """core: where it is pinned, None = anywhere."""

    def __init__(self, name, core):
        self.name, self.core = name, core
        self.group = meters.Cgroup(name.replace(" ", "-"))
        self.port = None

    def cpu(self):
        return self.group.cpu(self.pid())

    def pids(self):
        return self.group.pids() or meters.tree(self.pid())

    def memory(self):
        return meters.memory(self.pids())


class Floor(Peer):
    """tests/bench/canned: serves texts of the same sizes as the messages."""

    def __init__(self, build, core, mailbox):
        super().__init__("floor", core)
        self.program = build.program("tests/bench/canned")
        self.sizes = [len(mail.wire(message)) for message in mailbox]

    def start(self):
        self.file = tempfile.NamedTemporaryFile("w", prefix="postern-bench-sizes-")
        self.file.write("\n".join(map(str, self.sizes)))
        self.file.flush()
        self.process = subprocess.Popen(
            [*self.group.wrapper(self.core), str(self.program), "--sizes", self.file.name],
            stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.file.close()
        self.group.remove()


class Postern(Peer):
    def __init__(self, build, core, mailbox, users, modules=None, server=None):
        super().__init__("Postern", core)
        self.build, self.mailbox, self.users = build, mailbox, users
        self.options = dict(modules=modules, server=server)

    def start(self):
        settings = dict(self.options["server"] or {})
        if self.core is not None:
            settings.setdefault("reactors", {"min": 1, "max": 1})
        self.server = Server(self.options["modules"], settings, build=self.build)
        self.port = self.server.port
        try:
            self.server.start(wrapper=self.group.wrapper(self.core))
            self._seed()
        except BaseException:
            self.server.show()
            raise

    def _seed(self):
        if not self.mailbox:
            return
        maildir = mail.write_maildir(self.server.scratch / "seed", self.mailbox)
        for number in range(1, self.users + 1):
            self.server.add_account(FULL % number, PASSWORD)
            self.server.import_(FULL % number, maildir)
            self.server.add_account(EMPTY % number, PASSWORD)
        shutil.rmtree(maildir)

    def pid(self):
        return self.server.pid

    def restart(self, between=lambda: None):
        self.server.stop()
        between()
        self.server.start(wrapper=self.group.wrapper(self.core))

    def stop(self):
        self.server.close()
        self.group.remove()


DOVECOT_CONF = """
base_dir = {scratch}/run
state_dir = {scratch}/state
log_path = {scratch}/log
instance_name = postern-bench
protocols = pop3 lmtp
postmaster_address = postmaster@example.org
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = {location}
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {scratch}/passwd
}}
userdb {{
  driver = static
  args = uid={user} gid=nogroup home={scratch}/mail/%u allow_all_users=yes
}}
auth_cache_size = 10M
pop3_no_flag_updates = yes
pop3_fast_size_lookups = yes
maildir_very_dirty_syncs = yes
mail_max_userip_connections = 0
default_vsz_limit = 0
service anvil {{
  client_limit = 30000
}}
service auth {{
  client_limit = 30000
}}
service log {{
  client_limit = 30000
}}
service pop3-login {{
  service_count = 0
  process_min_avail = 1
  client_limit = 20000
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service lmtp {{
  service_count = 0
  process_min_avail = 8
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
service pop3 {{
  service_count = 0
  client_limit = {clients}
  process_min_avail = {spare}
  process_limit = {processes}
}}
"""


class Dovecot(Peer):
    """Debian's Dovecot as an expert would tune it: processes are reused, authentication cached.
    mux: one pop3 process serves many sessions."""

    def __init__(self, store, core, mailbox, users, mux=False):
        super().__init__(f"Dovecot {store}{' mux' if mux else ''}", core)
        self.store, self.mailbox, self.users, self.mux = store, mailbox, users, mux

    @staticmethod
    def available():
        return os.geteuid() == 0 and shutil.which("dovecot") is not None

    def start(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="postern-bench-dovecot-"))
        self.scratch.chmod(0o755)
        self.port, self.lmtp = free_port(), free_port()
        self._configure()
        self._run(self._seed_maildir)

    def _configure(self):
        (self.scratch / "passwd").write_text("".join(
            f"{form % number}:{{PLAIN}}{PASSWORD}\n"
            for number in range(1, self.users + 1) for form in (FULL, EMPTY)))
        (self.scratch / "state").mkdir()
        (self.scratch / "mail").mkdir()
        shutil.chown(self.scratch / "mail", DEFAULT_USER)
        folder = {"maildir": "Maildir"}.get(self.store, self.store)
        (self.scratch / "conf").write_text(DOVECOT_CONF.format(
            scratch=self.scratch, port=self.port, lmtp=self.lmtp, user=DEFAULT_USER,
            location=f"{self.store}:{self.scratch}/mail/%u/{folder}",
            clients=20000 if self.mux else 1, spare=1 if self.mux else 16,
            processes=4 if self.mux else 2000))

    def _run(self, seed):
        if self.store == "maildir" and self.mailbox:
            for number in range(1, self.users + 1):
                seed(self.scratch / "mail" / (FULL % number))
        self._launch()
        if self.store != "maildir" and self.mailbox:
            self._seed_dbox()

    def _launch(self):
        with open(self.scratch / "output", "wb") as output:
            self.process = subprocess.Popen(
                [*self.group.wrapper(self.core), "dovecot", "-F", "-c", str(self.scratch / "conf")],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_until(self._greets, 20, "Dovecot's greeting")

    def _greets(self):
        with contextlib.suppress(OSError, Failure):
            with Pop3(("127.0.0.1", self.port), timeout=5):
                return True
        return False

    def _seed_maildir(self, home):
        """One set of files, hard links for all others: the page cache holds them once."""
        first = self.scratch / "mail" / (FULL % 1) / "Maildir"
        target = home / "Maildir"
        if target == first:
            mail.write_maildir(first, self.mailbox)
        else:
            shutil.copytree(first, target, copy_function=os.link)
        subprocess.run(["chown", "-R", f"{DEFAULT_USER}:nogroup", str(home)], check=True)

    def _seed_dbox(self):
        source = mail.write_maildir(self.scratch / "seed", self.mailbox)
        subprocess.run(["chown", "-R", f"{DEFAULT_USER}:nogroup", str(source)], check=True)
        for number in range(1, self.users + 1):
            subprocess.run(["doveadm", "-c", str(self.scratch / "conf"), "-o", "mail_fsync=never",
                            "import", "-u", FULL % number, f"maildir:{source}", "", "all"],
                           check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(source)

    def pid(self):
        return self.process.pid

    def restart(self, between=lambda: None):
        self._end()
        between()
        self._launch()

    def _end(self):
        pids = self.pids()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        for pid in pids:  # its children end by themselves, a moment later
            with contextlib.suppress(OSError):
                if pid in self.group.pids():
                    os.kill(pid, 9)
        self.process.wait()
        time.sleep(0.1)

    def stop(self):
        self._end()
        self.group.remove()
        shutil.rmtree(self.scratch, ignore_errors=True)


__all__ = ["Build", "Dovecot", "EMPTY", "FULL", "Floor", "PASSWORD", "Postern"]
