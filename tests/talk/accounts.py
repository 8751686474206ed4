"""Accounts: what an administrator changes counts with the next login, in every generation, and no
password is found anywhere afterwards."""
import pathlib
import re

from server import Server, Skip, check, eq, wait_until

USER, PASSWORD = "ann@example.org", "correct horse battery"
SCRAM = ("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
         "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")  # RFC 7677: "pencil"


def may_log_in(postern, user, password):
    """A session of its own; True or False, anything but +OK and -ERR [AUTH] fails."""
    with postern.pop3() as pop:
        pop.ok(f"USER {user}")
        answer = pop.command(f"PASS {password}")
        check(answer.startswith(("+OK", "-ERR [AUTH]")), answer)
        return answer.startswith("+OK")


def metric(postern, name):
    for row in postern.ctl("metrics", json_output=True):
        if "accounts" in row.values() and name in row.values():
            return next(value for value in row.values() if isinstance(value, int))
    raise AssertionError(f"no metric {name}")


def test_one_name_in_many_forms():
    with Server().start() as postern:
        postern.add_account("Ann@Example.ORG", PASSWORD)
        for user in ("ann", "ANN", "ann@example.org", "Ann@eXample.org"):
            check(may_log_in(postern, user, PASSWORD), user)
        for user in ("ann@other.example", "an", "ann@", "../ann", "ann@example.org."):
            check(not may_log_in(postern, user, PASSWORD), user)


def test_changes_count_at_once():
    with Server().start() as postern:
        postern.add_account(USER, PASSWORD)
        for _ in range(3):
            check(may_log_in(postern, USER, PASSWORD), "the password as given")
        postern.ctl("account", "passwd", USER, input="another\n")
        check(not may_log_in(postern, USER, PASSWORD), "the old password")
        check(may_log_in(postern, USER, "another"), "the new password")
        for off, on in (("--disable", "--enable"), ("--deny=pop3", "--allow=pop3")):
            postern.ctl("account", "set", USER, *off.split("="))
            check(not may_log_in(postern, USER, "another"), off)
            postern.ctl("account", "set", USER, *on.split("="))
            check(may_log_in(postern, USER, "another"), on)
        postern.ctl("account", "remove", USER)
        check(not may_log_in(postern, USER, "another"), "removed")


def test_a_draining_generation_hears_of_changes():
    with Server().start() as postern:
        postern.add_account(USER, PASSWORD)
        check(may_log_in(postern, USER, PASSWORD), "remembered by the first generation")
        with postern.pop3() as first, postern.pop3() as second:
            postern.reload()
            postern.ctl("account", "passwd", USER, input="another\n")
            first.ok(f"USER {USER}")
            check(first.command(f"PASS {PASSWORD}").startswith("-ERR [AUTH]"), "the old password")
            second.login(USER, "another")


def test_polling_costs_no_hash():
    with Server().start() as postern:
        postern.add_account(USER, PASSWORD)
        check(may_log_in(postern, USER, PASSWORD), "first")
        hashes = metric(postern, "password_hashes_total")
        for _ in range(20):
            check(may_log_in(postern, USER, PASSWORD), "again")
        eq(metric(postern, "password_hashes_total"), hashes, "hashes")


def test_verifiers_of_another_server():
    with Server().start() as postern:
        postern.ctl("account", "add", "bob", "--verifier", input=SCRAM + "\n")
        check(may_log_in(postern, "bob", "pencil"), "SCRAM")
        result = postern.ctl("account", "add", "eve", "--verifier", input="pencil\n", fails=True)
        check("of a kind that is not accepted" in result.stderr, result.stderr)


def test_restart_keeps_accounts():
    with Server().start() as postern:
        postern.add_account(USER, PASSWORD)
        before = postern.ctl("account", "show", USER, json_output=True)
        postern.stop()
        postern.start()
        eq(postern.ctl("account", "show", USER, json_output=True), before, "account")
        check(may_log_in(postern, USER, PASSWORD), "after the restart")


def test_password_is_nowhere_on_disk():
    with Server({"logging": {"level": "protocol", "files": [{"path": "{log}/all.log"}]}}) as postern:
        postern.start()
        postern.add_account(USER, PASSWORD)
        check(may_log_in(postern, USER, PASSWORD), "login")
        check(not may_log_in(postern, USER, PASSWORD + "x"), "wrong")
        log = postern.directory / "log" / "all.log"
        wait_until(lambda: "PASS" in log.read_text(), what="the conversation in the log")
        postern.stop()
        for path in pathlib.Path(postern.directory).rglob("*"):
            if path.is_file():
                check(PASSWORD.encode() not in path.read_bytes(), f"{path} has the password")
                check(b"battery" not in path.read_bytes(), f"{path} has a part of it")


def memory_of(pid):
    """Every piece of a process' memory; what a sanitizer keeps for itself is left out."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for first, last in re.findall(r"^(\w+)-(\w+) r", maps.read(), re.MULTILINE):
            start, size = int(first, 16), int(last, 16) - int(first, 16)
            if size < 1 << 30:
                try:
                    memory.seek(start)
                    yield memory.read(size)
                except (OSError, OverflowError):  # the kernel's own pages
                    pass


def test_password_is_nowhere_in_memory():
    """Neither in the supervisor, which hands commands on, nor in the worker that checked it."""
    password = "Zq9vKx2mWp7rTs4y"
    with Server().start() as postern:
        postern.add_account(USER, password)
        for _ in range(3):
            check(may_log_in(postern, USER, password), "login")
        check(not may_log_in(postern, "nobody", password), "login of nobody")
        for pid in postern.processes():
            try:
                pieces = list(memory_of(pid))
            except PermissionError:
                raise Skip("the processes' memory cannot be read by this user") from None
            check(any(b"ann@example.org" in piece for piece in pieces) or pid == postern.pid,
                  "the search finds nothing at all")
            check(not any(password[6:].encode() in piece for piece in pieces),
                  f"the {'supervisor' if pid == postern.pid else 'worker'} has the password")


def test_damaged_database_is_told():
    with Server().start() as postern:
        postern.add_account(USER, PASSWORD)
        postern.stop()
        database = postern.directory / "state" / "accounts.mdb"
        good = database.read_bytes()
        for bad in (b"not a database" * 1000, good[:5000], good[:8192]):
            database.write_bytes(bad)
            result = postern.run()
            check(result.returncode != 0, "started with a damaged database")
            check("accounts.mdb" in result.stderr and "restore" in result.stderr, result.stderr)
        database.write_bytes(good)
        postern.start()
        check(may_log_in(postern, USER, PASSWORD), "after the file was restored")
