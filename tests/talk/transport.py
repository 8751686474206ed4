"""posternctl mailbox deliver as a mail server runs it: a pipe's command, whose exit status (sysexits.h)
tells whether the message is kept and tried again, or goes back."""
import os
import subprocess

from server import Server, check, eq

USER, PASSWORD = "ann@example.org", "secret"
MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


def deliver(postern, status, *words, message=MESSAGE, own=()):
    """What it says; the exit status is compared."""
    line = [postern.control, "--directory", postern.directory, *own, "mailbox", "deliver", *words]
    result = subprocess.run(line, input=message, capture_output=True, timeout=60, check=False)
    said = result.stderr.decode()
    eq(result.returncode, status, f"exit status ({said})")
    return said


def test_a_message_goes_back():
    """Trying again would not help."""
    with Server(modules={"storage": {"message_size_limit": "64KiB"}}).start() as postern:
        postern.add_account(USER, PASSWORD)
        deliver(postern, os.EX_OK, USER)
        deliver(postern, os.EX_OK, "--", USER)
        deliver(postern, os.EX_NOUSER, "--", "-bob@example.org")
        said = deliver(postern, os.EX_NOUSER, "bob@example.org")
        check("no account" in said, said)
        deliver(postern, os.EX_NOUSER, "bob@")
        deliver(postern, os.EX_DATAERR, USER, message=b"x" * 70000)
        deliver(postern, os.EX_DATAERR, USER, "--folder", "\x01")
        postern.ctl("account", "remove", USER)
        deliver(postern, os.EX_NOUSER, USER)


def test_a_message_waits():
    """Whatever may pass: mail is not sent back because of it."""
    with Server() as postern:
        deliver(postern, os.EX_TEMPFAIL, USER)
        postern.start()
        postern.add_account(USER, PASSWORD, "--quota-messages", "1")
        deliver(postern, os.EX_OK, USER)
        said = deliver(postern, os.EX_TEMPFAIL, USER)
        check("holds 1 of 1 messages" in said, said)
        offline = ("--offline", "--modules", postern.module_directory)
        check("running" in deliver(postern, os.EX_TEMPFAIL, USER, own=offline), "offline")
        postern.stop()
        deliver(postern, os.EX_TEMPFAIL, USER)
        deliver(postern, os.EX_NOUSER, "bob@example.org", own=offline)
        postern.write_config("modules: nonsense\n")
        deliver(postern, os.EX_TEMPFAIL, USER, own=offline)


def test_the_commands_line_is_wrong():
    with Server().start() as postern:
        deliver(postern, 2)
        deliver(postern, 2, USER, "--floder", "x")
