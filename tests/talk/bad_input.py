"""Clients that do not behave: nothing crashes, nothing grows, others are served."""
import os
import random
import select
import socket
import time

from server import Server, SLOW, check, eq, wait_until

USER, PASSWORD = "ann@example.org", "secret"


def started(**pop3):
    postern = Server(modules={"pop3": {"auth_failure_delay": "0", **pop3}})
    postern.start()
    postern.add_account(USER, PASSWORD)
    return postern


def still_serves(postern):
    with postern.pop3() as pop:
        pop.login(USER, PASSWORD)
        pop.ok("STAT")
        pop.quit()


def test_over_long_lines():
    with started(line_limit="255") as postern:
        with postern.pop3() as pop:
            pop.send(b"NOOP" + b" " * 249 + b"\r\n")  # 255 octets with CRLF
            check("log in first" in pop.line())
            for length in (254, 1000, 70000, 3000000):
                pop.send(b"x" * length + b"\r\n")
                eq(pop.line(), "-ERR line too long")
            pop.login(USER, PASSWORD)
            pop.quit()
        still_serves(postern)


def test_a_line_without_end():
    with started() as postern, postern.pop3() as pop:
        pop.sock.settimeout(30 * SLOW)
        for _ in range(300):
            pop.send(b"A" * 65536)
        pop.send(b"\r\n")
        eq(pop.line(), "-ERR line too long")
        still_serves(postern)


def test_binary_garbage():
    luck = random.Random(2449)
    with started() as postern:
        for _ in range(50):
            with postern.pop3() as pop:
                try:
                    pop.send(luck.randbytes(luck.randint(1, 20000)) + b"\r\nQUIT\r\n")
                    pop.sock.shutdown(socket.SHUT_WR)
                    octets = b""
                    while more := pop.sock.recv(65536):
                        octets += more
                    check(all(line == b"" or line.startswith((b"-ERR ", b"+OK "))
                              for line in octets.split(b"\r\n")), octets)
                except ConnectionError:
                    pass  # the limit of bad commands closed it
        still_serves(postern)


def test_nul_and_control_octets():
    with started() as postern, postern.pop3() as pop:
        for octets in (b"\0\r\n", b"NO\0OP\r\n", b"USER a\0b\r\n", b"USER x\r\nPASS s\0t\r\n",
                       b"\x1b[2J\r\n", b"\xff\xfe\r\n"):
            pop.send(octets)
            replies = [pop.line() for _ in range(octets.count(b"\n"))]
            check(replies[-1].startswith("-ERR "), replies)
        pop.login(USER, PASSWORD)
        for octets in (b"RETR \0\r\n", b"LIST\t1\r\n", b"STAT\0\r\n"):
            pop.send(octets)
            check(pop.line().startswith("-ERR "), octets)
        pop.close()
        with postern.pop3() as other:
            other.ok("USER \x1b[2J\x07")
            other.err("PASS x")
        postern.wait_log("login_failed")
        check("\x1b" not in postern.log(), "the log has control characters of a client")


def test_nothing_is_echoed():
    with started() as postern, postern.pop3() as pop:
        for line in ("HELO evil-word", "USER evil-word", "PASS evil-word", "evil-word"):
            check("evil" not in pop.command(line).lower(), line)


def test_bad_commands_end_the_session():
    with started(bad_command_limit=4) as postern:
        with postern.pop3() as pop:
            for _ in range(3):
                pop.err("FOO")
            check("too many" in pop.err("FOO"))
            check(pop.ended(), "open after the limit")
        with postern.pop3() as pop:
            pop.send(b"FOO\r\n" * 1000)
            eq([pop.line()[:4] for _ in range(4)], ["-ERR"] * 4)
            check(pop.ended(), "open after the limit")
        with postern.pop3() as pop:  # errors that are no bad commands are free
            pop.login(USER, PASSWORD)
            for _ in range(20):
                pop.err("RETR 99")
            pop.quit()


def test_login_failures_end_the_session():
    with started(login_failure_limit=2) as postern, postern.pop3() as pop:
        pop.ok(f"USER {USER}")
        check(pop.err("PASS x").startswith("-ERR [AUTH] "))
        pop.ok(f"USER {USER}")
        check(pop.err("PASS x").startswith("-ERR [AUTH] "))
        check(pop.ended(), "open after the limit")


def test_no_login_in_time():
    with started(login_timeout="1s") as postern:
        with postern.pop3() as silent:
            began = time.monotonic()
            eq(silent.sock.recv(100), b"", "what is said on inactivity")
            check(0.5 < time.monotonic() - began < 10 * SLOW, "closed at the wrong time")
        with postern.pop3() as busy:  # who talks, but does not log in, goes as well
            began = time.monotonic()
            try:
                while time.monotonic() - began < 10 * SLOW:
                    busy.ok("CAPA")
                    busy.wire()
                    time.sleep(0.05)
                check(False, "a stranger may stay for ever")
            except (ConnectionError, AssertionError) as end:
                check("for ever" not in str(end), end)
        with postern.pop3() as pop:
            pop.login(USER, PASSWORD)
            time.sleep(2)
            pop.ok("NOOP")


def test_idle_timeout_has_a_lower_bound():
    with Server(modules={"pop3": {"idle_timeout": "9m"}}) as postern:
        result = postern.run("--check")
        check(result.returncode != 0, "an idle_timeout below RFC 1939's ten minutes is accepted")
        check("idle_timeout" in result.stderr + result.stdout, result.stderr)


def resident(postern):
    """KiB of all processes of the instance."""
    total = 0
    for pid in postern.processes():
        with open(f"/proc/{pid}/status") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return total


def test_a_client_that_does_not_read():
    """It asks for 200 MB and reads nothing: the server keeps its memory and serves others."""
    with started() as postern:
        postern.deliver(USER, b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 60000)
        with postern.pop3() as warm:
            warm.login(USER, PASSWORD)
            warm.multi("RETR 1")
        before = resident(postern)
        pop = postern.pop3()
        pop.login(USER, PASSWORD)
        pop.sock.setblocking(False)
        asked = b"RETR 1\r\n" * 200
        sent = 0
        deadline = time.monotonic() + 5
        while sent < len(asked) and time.monotonic() < deadline:
            if select.select([], [pop.sock], [], 0.2)[1]:
                sent += pop.sock.send(asked[sent:])
        for _ in range(20):
            still_serves(postern)
        check(resident(postern) - before < 20000, "memory grows with what is not read")
        pop.sock.setblocking(True)
        pop.sock.settimeout(60 * SLOW)
        got = 0
        while got < 20 * 1080000:
            octets = pop.sock.recv(1 << 20)
            check(octets, "the connection ended")
            got += len(octets)
        pop.reset()
        still_serves(postern)


def test_a_slow_client_gets_everything():
    """More than the system's buffers hold, so that the server has to wait for it again and again."""
    with started() as postern:
        text = b"Subject: slow\r\n\r\n" + b"".join(b"%07d\r\n" % n for n in range(100000))
        postern.deliver(USER, text)
        with postern.pop3() as pop:
            pop.login(USER, PASSWORD)
            pop.send(b"RETR 1\r\n" * 20 + b"STAT\r\n")
            octets = bytearray()
            while b"\r\n.\r\n+OK 1 " not in octets[-60:]:
                time.sleep(0.001)
                more = pop.sock.recv(40000)
                check(more, "the connection ended")
                octets += more
            reply = b"+OK %d octets\r\n" % len(text)
            check(octets.startswith((reply + text + b".\r\n") * 20 + b"+OK 1 "), "the text is not the same")


def test_many_connections_come_and_go():
    with started() as postern:
        for _ in range(300):
            with postern.pop3(greeting=False):
                pass
        socks = [postern.pop3() for _ in range(200)]
        for n, pop in enumerate(socks):
            pop.send(os.urandom(n % 50).replace(b"\n", b""))
        for n, pop in enumerate(socks):
            pop.reset() if n % 2 else pop.close()
        still_serves(postern)


def test_no_password_in_any_log():
    with started() as postern:
        postern.ctl("log", "level", "pop3", "protocol", "--for", "10m")

        def traced():
            with postern.pop3() as pop:
                pop.quit()
            return "line=QUIT" in postern.log()

        wait_until(traced, what="the protocol trace", step=0.2)
        with postern.pop3() as pop:
            pop.ok(f"USER {USER}")
            pop.err("PASS wrong-hunter2")
            pop.err("PASS hunter2-alone")
            pop.err("AUTH PLAIN hunter2-base64")
            pop.err("hunter2-typed-too-early")
            pop.login(USER, PASSWORD)
            pop.quit()
        postern.stop()
        check("hunter2" not in postern.log(), "a password is in the log")
        check("login_failed" in postern.log(), "a failed login is not in the log")
        check("PASS ***" in postern.log(), "the conversation is not in the log")
