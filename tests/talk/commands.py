"""Every command and every error over real sockets, cut into packets in every way.

Lines beginning with > are said, the others heard; {…} stands for any text without a line end.
"""
import random
import re
import time

from server import Server, check, eq

USER, PASSWORD = "ann@example.org", "secret word "
MESSAGES = [
    b"Subject: one\r\n\r\nfirst\r\nsecond\r\n",
    b".dot\r\n\r\n.\r\n..a\r\nb\r\n",
    b"Subject: no empty line\r\n",
    b"\r\nno header\r\n",
]

LOGIN = f"""
> USER {USER}
+OK {{}}
> PASS {PASSWORD}
+OK {{}}"""

SCRIPTS = {
    "authorization": f"""
> NOOP
-ERR {{}}
> CAPA
+OK {{}}
USER
TOP
UIDL
RESP-CODES
AUTH-RESP-CODE
PIPELINING
EXPIRE NEVER
IMPLEMENTATION {{}}
.
> PASS {PASSWORD}
-ERR {{}}
> USER nobody
+OK {{}}
> PASS {PASSWORD}
-ERR [AUTH] {{}}
> USER {USER}
+OK {{}}
> PASS {PASSWORD.strip()}
-ERR [AUTH] {{}}
> USER
-ERR {{}}
> uSeR {USER.upper()}
+OK {{}}
> pass {PASSWORD}
+OK {{}}
> USER {USER}
-ERR {{}}
> QUIT
+OK {{}}
""",
    "quit at once": """
> QUIT
+OK {}
""",
    "transaction": LOGIN + """
> STAT
+OK 4 87
> LIST
+OK {}
1 31
2 19
3 24
4 13
.
> LIST 2
+OK 2 19
> LIST 5
-ERR {}
> LIST 0
-ERR {}
> LIST -1
-ERR {}
> LIST 4294967297
-ERR {}
> UIDL
+OK {}
1 {}
2 {}
3 {}
4 {}
.
> UIDL 3
+OK 3 {}
> RETR 1
+OK 31 octets
Subject: one

first
second
.
> RETR 2
+OK 19 octets
..dot

..
...a
b
.
> RETR 1 2
-ERR {}
> RETR 5
-ERR {}
> TOP 1 0
+OK {}
Subject: one

.
> TOP 1 1
+OK {}
Subject: one

first
.
> TOP 2 1
+OK {}
..dot

..
.
> TOP 1 99999
+OK {}
Subject: one

first
second
.
> TOP 3 2
+OK {}
Subject: no empty line
.
> TOP 4 1
+OK {}

no header
.
> TOP 1
-ERR {}
> TOP 1 -1
-ERR {}
> NOOP
+OK {}
> NOSUCH
-ERR {}
> QUIT
+OK {}
""",
    "deletion": LOGIN + """
> DELE 2
+OK {}
> DELE 2
-ERR {}
> RETR 2
-ERR {}
> TOP 2 0
-ERR {}
> LIST 2
-ERR {}
> UIDL 2
-ERR {}
> STAT
+OK 3 68
> LIST
+OK {}
1 31
3 24
4 13
.
> UIDL
+OK {}
1 {}
3 {}
4 {}
.
> RSET
+OK {}
> STAT
+OK 4 87
> RETR 4
+OK 13 octets

no header
.
> QUIT
+OK {}
""",
}


def parse(script):
    """(what is said, a pattern of what is heard)."""
    said, heard = [], []
    for line in script.strip("\n").split("\n"):
        if line.startswith("> "):
            said.append(line[2:])
        else:
            pattern = re.escape(line).replace(r"\{\}", r"[^\r\n\[][^\r\n]*")
            heard.append(pattern)
    return [line.encode() + b"\r\n" for line in said], "".join(f"{line}\r\n" for line in heard).encode()


def filled(**pop3):
    postern = Server(modules={"pop3": {"auth_failure_delay": "0", **pop3}})
    postern.start()
    postern.add_account(USER, PASSWORD)
    for message in MESSAGES:
        postern.deliver(USER, message)
    return postern


def hear(pop):
    """Everything up to the end of the connection."""
    octets = b""
    while True:
        more = pop.sock.recv(65536)
        if not more:
            return octets
        octets += more


def play(postern, title, packets):
    pattern = parse(SCRIPTS[title])[1]
    with postern.pop3() as pop:
        for packet in packets:
            pop.send(packet)
            if len(packets) > 1:
                time.sleep(0.001)
        found = hear(pop)
    check(re.fullmatch(pattern, found), f"{title}, {len(packets)} packets: heard {found!r}")


def cut(octets, points):
    points = [0, *sorted(points), len(octets)]
    return [octets[a:b] for a, b in zip(points, points[1:]) if a < b]


def test_all_in_one_packet():
    with filled() as postern:
        for title in SCRIPTS:
            play(postern, title, [b"".join(parse(SCRIPTS[title])[0])])


def test_a_packet_for_each_line():
    with filled() as postern:
        for title in SCRIPTS:
            play(postern, title, parse(SCRIPTS[title])[0])


def test_a_packet_for_each_octet():
    with filled() as postern:
        for title in SCRIPTS:
            octets = b"".join(parse(SCRIPTS[title])[0])
            play(postern, title, [octets[i:i + 1] for i in range(len(octets))])


def test_cut_in_two_everywhere():
    """The connection is not told where a line ends: each cut of the login and a little more."""
    with filled() as postern:
        octets = b"".join(parse(SCRIPTS["deletion"])[0])
        for point in range(1, len(octets)):
            play(postern, "deletion", cut(octets, [point]))


def test_cut_at_random():
    luck = random.Random(1939)
    with filled() as postern:
        for title in SCRIPTS:
            octets = b"".join(parse(SCRIPTS[title])[0])
            for _ in range(40):
                points = luck.sample(range(1, len(octets)), min(len(octets) - 1, luck.randint(1, 9)))
                play(postern, title, cut(octets, points))


def test_bare_line_feeds_end_lines_too():
    with filled() as postern:
        for title in SCRIPTS:
            play(postern, title,
                 [b"".join(line.replace(b"\r\n", b"\n") for line in parse(SCRIPTS[title])[0])])


def test_replies_come_before_the_next_command():
    """A client that waits for each reply, as most do."""
    with filled() as postern, postern.pop3() as pop:
        eq(pop.greeting, "+OK Postern ready")
        pop.login(USER, PASSWORD)
        eq(pop.ok("STAT"), "+OK 4 87")
        eq(pop.lines("LIST"), ["1 31", "2 19", "3 24", "4 13"])
        for number, message in enumerate(MESSAGES, 1):
            eq(pop.multi(f"RETR {number}"), message)
        pop.quit()


def test_ids_stay():
    with filled() as postern:
        with postern.pop3() as pop:
            pop.login(USER, PASSWORD)
            ids = pop.lines("UIDL")
            pop.ok("DELE 1")
            pop.quit()
        texts = [line.split(" ")[1] for line in ids]
        eq(len(set(texts)), 4)
        check(all(re.fullmatch(r"[\x21-\x7e]{1,70}", text) for text in texts), ids)
        with postern.pop3() as pop:
            pop.login(USER, PASSWORD)
            eq(pop.lines("UIDL"), [f"{n} {text}" for n, text in enumerate(texts[1:], 1)])
            pop.sock.close()
        postern.stop()
        postern.start()
        with postern.pop3() as pop:
            pop.login(USER, PASSWORD)
            eq(pop.lines("UIDL"), [f"{n} {text}" for n, text in enumerate(texts[1:], 1)])


def test_options():
    with filled(greeting="at your service", implementation="") as postern, postern.pop3() as pop:
        eq(pop.greeting, "+OK at your service")
        check("IMPLEMENTATION" not in " ".join(pop.lines("CAPA")))


def test_plaintext_never():
    with filled(plaintext_login="never") as postern, postern.pop3() as pop:
        check("USER" not in pop.lines("CAPA"))
        check("not allowed" in pop.err(f"USER {USER}"))
        reply = pop.err(f"PASS {PASSWORD}")
        check("not allowed" in reply and "[AUTH]" not in reply, reply)
        pop.quit()
        check(PASSWORD.strip() not in postern.log())
