"""Messages come back octet for octet."""
import os
import tempfile

import mail
from server import Server, check, eq

USER, PASSWORD = "ann@example.org", "secret"


def expect_text(found, expected, what):
    check(found == expected, f"{what}: {mail.first_difference(found, expected)}")


def top(wire, lines):
    """Header, empty line and so many lines of the body of a message in wire form."""
    if wire.startswith(b"\r\n"):
        start = 2
    else:
        end = wire.find(b"\r\n\r\n")
        start = end + 4 if end >= 0 else len(wire)
    for _ in range(lines):
        end = wire.find(b"\r\n", start)
        if end < 0:
            return wire
        start = end + 2
    return wire[:start]


def top_is_bare(wire):
    """Whether lines end in CRLF alone, so that everybody counts the same."""
    return b"\n" not in wire.replace(b"\r\n", b"") and b"\r" not in wire.replace(b"\r\n", b"")


def compare(postern, messages):
    with postern.pop3() as pop:
        pop.login(USER, PASSWORD)
        sizes = [int(line.split()[1]) for line in pop.lines("LIST")]
        eq(len(sizes), len(messages))
        eq(pop.ok("STAT"), f"+OK {len(messages)} {sum(sizes)}")
        for number, message in enumerate(messages, 1):
            wire = mail.wire(message)
            eq(sizes[number - 1], len(wire), f"size of {number}")
            expect_text(pop.multi(f"RETR {number}"), wire, f"message {number}")
            expect_text(pop.multi(f"TOP {number} 4294967295"), wire, f"all of message {number}")
            for lines in (0, 1, 7, 3000) if top_is_bare(wire) else (0,):
                expect_text(pop.multi(f"TOP {number} {lines}"), top(wire, lines),
                            f"TOP {number} {lines}")
        pop.quit()


def test_odd_messages():
    with Server() as postern:
        postern.start()
        postern.add_account(USER, PASSWORD)
        for message in mail.odd():
            postern.deliver(USER, message)
        compare(postern, mail.odd())


def test_real_messages():
    with Server() as postern:
        postern.start()
        postern.add_account(USER, PASSWORD)
        with tempfile.TemporaryDirectory() as place:
            box = os.path.join(place, "mbox")
            mail.write_mbox(box, mail.small())
            postern.import_(USER, box)
        compare(postern, mail.small())


def test_pipelined_retr():
    """All messages asked for in one packet, deleted, and the end: in order, and whole."""
    messages = mail.odd()
    with Server() as postern:
        postern.start()
        postern.add_account(USER, PASSWORD)
        for message in messages:
            postern.deliver(USER, message)
        with postern.pop3() as pop:
            pop.login(USER, PASSWORD)
            asked = b"".join(b"RETR %d\r\nDELE %d\r\n" % (n, n) for n in range(1, len(messages) + 1))
            pop.send(asked + b"STAT\r\nQUIT\r\n")
            for number, message in enumerate(messages, 1):
                eq(pop.line(), f"+OK {len(mail.wire(message))} octets")
                expect_text(pop.text(), mail.wire(message), f"message {number}")
                check(pop.line().startswith("+OK "), "DELE")
            eq(pop.line(), "+OK 0 0")
            check(pop.line().startswith("+OK "), "QUIT")
            check(pop.ended())
