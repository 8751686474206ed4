"""Mail in and out over a running daemon: what clients see over POP3 after a move, the examples of
docs/migration.md. With POSTERN_REAL_PEERS=1 the Maildir is made, and its ids told, by Dovecot."""
import os
import pathlib
import poplib
import shutil
import subprocess
import tempfile

from server import Server, Skip, check, eq, free_port, wait_until

USER, OTHER, PASSWORD = "anna@example.org", "copy@example.org", "correct horse"
HORRORS = [b"", b"\n", b"\r\r\n", b"no newline", b"Subject: x\r\n\r\nFrom y\n>From z\n.\n..\n",
           b"NUL \0 and 8-bit \xff\n\nbare\rCR\n", b"x" * 200000]


def maildrop(postern, user=USER):
    """What a client sees: unique id -> text and size, in order."""
    with postern.pop3() as pop:
        pop.login(user, PASSWORD)
        ids = [line.split() for line in pop.lines("UIDL")]
        sizes = dict(line.split() for line in pop.lines("LIST"))
        return {uidl: (sizes[number], pop.multi(f"RETR {number}")) for number, uidl in ids}


def started():
    postern = Server()
    postern.start()
    postern.add_account(USER, PASSWORD)
    postern.add_account(OTHER, PASSWORD)
    return postern


def make_maildir(path):
    for part in ("cur", "new", "tmp", ".Sent/cur", ".Sent/new", ".Sent/tmp"):
        (path / part).mkdir(parents=True)
    (path / "cur/1000000001.a,S=20:2,S").write_text("Subject: one\n\n1\n")
    (path / "new/1000000002.b").write_text("Subject: two\n\n2\n")
    (path / ".Sent/cur/1000000003.c:2,S").write_text("Subject: sent\n\n3\n")
    (path / "dovecot-uidlist").write_text("3 V1795545644 N9 Gx\n4 :1000000001.a,S=20\n"
                                          "7 Pold-id :1000000002.b\n")
    path.chmod(0o700)


def test_a_closed_maildir_keeps_its_ids():
    with started() as postern, tempfile.TemporaryDirectory() as scratch:
        source, listing = pathlib.Path(scratch) / "Maildir", pathlib.Path(scratch) / "uidls"
        make_maildir(source)
        answer = postern.ctl("mailbox", "import", USER, source, json_output=True)
        eq((answer["folders"], answer["imported"], answer["with_uidl"]), (2, 3, 2), "the import")
        eq(list(maildrop(postern)), ["000000046b05da2c", "old-id"], "the unique ids")
        listing.write_text("+OK 2 messages (40 octets)\r\n1 19\r\n2 19\r\n.\r\n"
                           "+OK\r\n1 000000046b05da2c\r\n2 old-id\r\n.\r\n")
        answer = postern.ctl("mailbox", "uidl-diff", USER, listing, json_output=True)
        check(answer["same"], f"not the same: {answer}")
        listing.write_text("1 000000046b05da2c\r\n2 other\r\n")
        answer = postern.ctl("mailbox", "uidl-diff", USER, listing, json_output=True)
        eq((answer["same"], answer["missing"], answer["only_here"]),
           (False, ["other"], ["old-id"]), "the difference")


def test_out_and_in_again():
    with started() as postern, tempfile.TemporaryDirectory() as scratch:
        for text in HORRORS:
            postern.deliver(USER, text)
        before = maildrop(postern)
        for form in ("maildir", "mbox"):
            target = pathlib.Path(scratch) / form
            answer = postern.ctl("mailbox", "export", USER, target, "--format", form,
                                 json_output=True)
            eq(answer["exported"], len(HORRORS), f"exported as {form}")
            again = postern.ctl("mailbox", "export", USER, target, "--format", form,
                                json_output=True)
            eq((again["exported"], again["skipped"]), (0, len(HORRORS)), "once more")
            user = f"{form}@example.org"
            postern.add_account(user, PASSWORD)
            postern.import_(user, target)
            eq(maildrop(postern, user), before, f"the maildrop by way of {form}")


def test_listings_are_files_of_their_own():
    with started() as postern, tempfile.TemporaryDirectory() as scratch:
        mbox, listing = pathlib.Path(scratch) / "mbox", pathlib.Path(scratch) / "uidls"
        mbox.write_text("From a@b Thu Aug 22 12:36:23 2002\nSubject: 1\n\n"
                        "From a@b Thu Aug 22 12:36:23 2002\nSubject: 2\n\n")
        listing.write_text("1 a\n2 b\n")
        postern.import_(USER, mbox, "--uidls", listing)
        eq(list(maildrop(postern)), ["a", "b"], "the unique ids")
        refused = postern.ctl("mailbox", "import", USER, mbox, "--uidls", scratch, fails=True)
        check("is a directory" in refused.stderr, refused.stderr)
        refused = postern.ctl("mailbox", "import", USER, mbox, "--uidl-format", "%m", fails=True)
        check("not known here" in refused.stderr, refused.stderr)


# ---- the real peer ----

CONFIG = """base_dir = {d}/run
state_dir = {d}/state
log_path = {d}/log
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{d}/mail/%n
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={d}/home/%n
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
namespace inbox {{
  inbox = yes
  separator = .
  prefix =
}}
"""


class Dovecot:
    def __init__(self, directory):
        self.directory, self.port = pathlib.Path(directory), free_port()
        self.config = self.directory / "dovecot.conf"
        self.config.write_text(CONFIG.format(d=directory, port=self.port))
        self.directory.chmod(0o755)
        for name in ("mail", "home"):
            (self.directory / name).mkdir()
            shutil.chown(self.directory / name, "mail", "mail")
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.config])

    def __enter__(self):
        wait_until(lambda: (self.directory / "run" / "master.pid").exists(), what="Dovecot")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def doveadm(self, *words, text=b"", form="flow"):
        return subprocess.run(["doveadm", "-c", self.config, "-f", form, *words], input=text,
                              stdout=subprocess.PIPE, check=True).stdout

    def maildrop(self, user):
        pop = poplib.POP3("127.0.0.1", self.port)
        pop.user(user)
        pop.pass_("secret")
        ids = [line.split() for line in pop.uidl()[1]]
        sizes = dict(line.split() for line in pop.list()[1])
        found = {uidl.decode(): (sizes[number].decode(), pop.retr(int(number))[1])
                 for number, uidl in ids}
        pop.quit()
        return found


def seen(postern, user):
    """As Dovecot.maildrop() tells it."""
    return {uidl: (size, text.split(b"\r\n")[:-1])
            for uidl, (size, text) in maildrop(postern, user).items()}


def labelled(fetched):
    """The keywords of each message, in order, from `doveadm fetch 'uid flags'`."""
    return [sorted(word for word in line.replace(b"flags=", b"").split()[1:]
                   if not word.startswith(b"\\")) for line in fetched.splitlines()]


def test_dovecot_and_back():
    if not os.environ.get("POSTERN_REAL_PEERS"):
        raise Skip("POSTERN_REAL_PEERS is not set")
    if not shutil.which("dovecot") or os.geteuid() != 0:
        raise Skip("Dovecot is not installed, or this is not root")
    with started() as postern, tempfile.TemporaryDirectory() as scratch, \
            Dovecot(scratch) as dovecot:
        for number in range(20):
            dovecot.doveadm("save", "-u", "anna", "-m", "INBOX",
                            text=f"Subject: {number}\n\n.text {number}\n".encode())
        dovecot.doveadm("expunge", "-u", "anna", "mailbox", "INBOX", "3:5")
        dovecot.doveadm("flags", "add", "-u", "anna", "$Forwarded Work", "mailbox", "INBOX", "2:9")
        labels = dovecot.doveadm("fetch", "-u", "anna", "uid flags", "mailbox", "INBOX")
        there = dovecot.maildrop("anna")
        answer = postern.ctl("mailbox", "import", USER, dovecot.directory / "mail/anna",
                             json_output=True)
        eq((answer["imported"], answer["with_uidl"], answer["with_keywords"]), (17, 17, 8),
           "the import")
        eq(seen(postern, USER), there, "what clients see")
        for form in ("flow", "tab", "table", "pager", "json"):
            listing = dovecot.directory / form
            listing.write_bytes(
                dovecot.doveadm("mailbox", "status", "-u", "anna", "uidvalidity", "INBOX",
                                form=form)
                + dovecot.doveadm("fetch", "-u", "anna", "uid pop3.uidl size.virtual",
                                  "mailbox", "INBOX", form=form))
            answer = postern.ctl("mailbox", "uidl-diff", USER, listing, json_output=True)
            check(answer["same"], f"{form}: {answer}")
        # And away again: Dovecot takes the ids from the export.
        target = dovecot.directory / "mail" / "bob"
        postern.ctl("mailbox", "export", USER, target)
        subprocess.run(["chown", "-R", "mail:mail", target], check=True)
        eq(labelled(dovecot.doveadm("fetch", "-u", "bob", "uid flags", "mailbox", "INBOX")),
           labelled(labels), "the keywords that Dovecot sees")
        eq(dovecot.maildrop("bob"), there, "what clients of Dovecot see")


# ---- what is huge ----

def worker_peak(postern):
    """The most memory (kB) that a worker has had."""
    peak = 0
    for pid in postern.workers():
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        peak = max(peak, int(status.split("VmHWM:")[1].split()[0]))
    return peak


def deliver_stream(postern, pieces):
    """posternctl mailbox deliver, fed with pieces; octets given."""
    command = [postern.build.program("posternctl"), "--directory", postern.directory, "mailbox",
               "deliver", USER]
    given = 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as ctl:
        for piece in pieces:
            ctl.stdin.write(piece)
            given += len(piece)
        ctl.stdin.close()
        eq(ctl.wait(), 0, "posternctl's exit status")
    return given


def retrieve(postern, number):
    """Octets of a message's text, dots unstuffed, without keeping them."""
    with postern.pop3(timeout=600.0) as pop:
        pop.login(USER, PASSWORD)
        size = int(pop.lines("LIST")[number - 1].split()[1])
        eq(int(pop.ok("STAT").split()[2]) >= size, True, "STAT counts it")
        pop.send_line(f"RETR {number}")
        check(pop.line().startswith("+OK"), "RETR")
        # The wire's octets up to CRLF "." CRLF; no line of these messages begins with a dot.
        got, tail = len(pop.pending), pop.pending[-5:]
        while tail != b"\r\n.\r\n":
            piece = pop.sock.recv(1 << 20)
            check(piece, "the connection ended")
            got += len(piece)
            tail = (tail + piece)[-5:]
        return size, got - 3


def test_five_gigabytes_and_a_line_of_100_megabytes():
    if not os.environ.get("POSTERN_LONG"):
        raise Skip("POSTERN_LONG is not set")
    postern = Server({"storage": {"message_size_limit": "64GiB"}})
    with postern:
        postern.start()
        postern.add_account(USER, PASSWORD)
        line = b"x" * 98 + b"\n"
        block = line * 10000
        count = 5 * 1024 ** 3 // (len(block) + 10000) + 1
        given = deliver_stream(postern, (block for _ in range(count)))
        eq(retrieve(postern, 1), (given + count * 10000,) * 2, "5 GB")
        given = deliver_stream(postern, (b"y" * 1000000 for _ in range(100)))
        eq(retrieve(postern, 2), (given + 2,) * 2, "one line of 100 MB")
        peak = worker_peak(postern)
        print(f"most memory of a worker: {peak} kB")
        check(peak < 200000, f"a worker had {peak} kB")


test_five_gigabytes_and_a_line_of_100_megabytes.limit = 900
