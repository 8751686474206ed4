"""A whole conversation under valgrind, supervisor and worker in one process (--single)."""
import os
import shutil

import mail
from server import Server, Skip, check, eq

USER, PASSWORD = "ann@example.org", "secret"


def test_valgrind_single():
    if not os.environ.get("POSTERN_VALGRIND"):
        raise Skip("only with POSTERN_VALGRIND=1")
    if not shutil.which("valgrind"):
        raise Skip("valgrind is not installed")
    contents = mail.odd() + mail.small()[:20]
    # valgrind has no room for the map that the index reserves by default
    with Server(single=True, modules={"storage": {"index_map_size": "1GiB"}}) as postern:
        report = postern.scratch / "valgrind"
        postern.start(wrapper=("valgrind", "-q", "--leak-check=full", "--errors-for-leak-kinds=definite",
                               "--error-exitcode=99", f"--log-file={report}"), seconds=60)
        postern.add_account(USER, PASSWORD)
        postern.import_(USER, mail.write_maildir(postern.scratch / "Maildir", contents))
        postern.deliver(USER, b"Subject: one more\n\nhello\n")
        with postern.pop3(timeout=60) as pop:
            pop.login(USER, PASSWORD)
            pop.ok("STAT")
            pop.multi("CAPA")
            pop.multi("LIST")
            pop.multi("UIDL")
            for number, message in enumerate(contents, 1):
                eq(pop.multi(f"RETR {number}"), mail.wire(message), f"message {number}")
            pop.multi("TOP 5 3")
            pop.ok("DELE 1")
            pop.quit()
        postern.ctl("status")
        with postern.pop3(timeout=60) as pop:
            pop.err("XYZZY")
            pop.login(USER, PASSWORD)
            check(pop.ok("STAT").startswith(f"+OK {len(contents)} "), "one less after DELE")
            pop.reset()
        status = postern.stop(seconds=60)
        text = report.read_text()
        check(status == 0, f"exit {status}: {text[-3000:]}")


test_valgrind_single.limit = 120
