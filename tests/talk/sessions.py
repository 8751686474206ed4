"""Several sessions at once: snapshots, zombies, limits, what QUIT does and what a lost connection."""
import socket
import time

from server import Server, check, eq, wait_until

USER, PASSWORD = "ann@example.org", "secret"


def message(text):
    return f"Subject: {text}\r\n\r\n{text}\r\n".encode()


def filled(count=5, options=(), **pop3):
    postern = Server(modules={"pop3": {"auth_failure_delay": "0", **pop3}})
    postern.start()
    postern.add_account(USER, PASSWORD, *options)
    for n in range(1, count + 1):
        postern.deliver(USER, message(f"number {n}"))
    return postern


def logged_in(postern):
    pop = postern.pop3()
    pop.login(USER, PASSWORD)
    return pop


def test_one_deletes_the_other_keeps_its_numbers():
    with filled() as postern:
        one, two = logged_in(postern), logged_in(postern)
        ids = two.lines("UIDL")
        size = int(two.ok("LIST 2").split()[2])
        stat = [int(word) for word in two.ok("STAT").split()[1:]]
        one.ok("DELE 2")
        eq(two.ok("LIST 2"), f"+OK 2 {size}")
        eq(two.multi("RETR 2"), message("number 2"))
        one.quit()
        eq(two.ok("LIST 2"), "+OK 2 0", "a zombie's size")
        eq(two.lines("UIDL"), ids)
        eq([int(word) for word in two.ok("STAT").split()[1:]], [stat[0], stat[1] - size])
        sizes = [int(line.split()[1]) for line in two.lines("LIST")]
        eq(sum(sizes), stat[1] - size, "STAT is the sum of LIST")
        check("gone" in two.err("RETR 2"))
        two.err("TOP 2 0")
        eq(two.multi("RETR 3"), message("number 3"))
        two.ok("DELE 2")
        two.ok("DELE 3")
        two.quit()
        with logged_in(postern) as three:
            eq([line.split(" ")[1] for line in three.lines("UIDL")],
               [ids[n].split(" ")[1] for n in (0, 3, 4)])


def test_new_mail_is_seen_by_the_next_session():
    with filled(2) as postern:
        one = logged_in(postern)
        postern.deliver(USER, message("new"))
        eq(one.ok("STAT").split()[1], "2")
        eq(len(one.lines("LIST")), 2)
        eq(len(one.lines("UIDL")), 2)
        one.err("RETR 3")
        with logged_in(postern) as two:
            eq(two.multi("RETR 3"), message("new"))
        one.err("LIST 3")
        one.ok("DELE 1")
        one.quit()
        with logged_in(postern) as three:
            eq(len(three.lines("LIST")), 2)
            eq(three.multi("RETR 2"), message("new"))


def test_only_quit_deletes():
    def ends(pop):
        pop.close()

    def dies(pop):
        pop.reset()

    def half(pop):
        pop.send(b"QUI")
        pop.close()

    with filled() as postern:
        for way in (ends, dies, half):
            pop = logged_in(postern)
            pop.ok("DELE 1")
            way(pop)
            with logged_in(postern) as pop:
                eq(len(pop.lines("LIST")), 5, way.__name__)
        pop = logged_in(postern)
        pop.send(b"DELE 1\r\nQUIT\r\n")
        pop.sock.shutdown(socket.SHUT_WR)
        check(pop.line().startswith("+OK") and pop.line().startswith("+OK"), "QUIT is answered")
        with logged_in(postern) as pop:
            eq(len(pop.lines("LIST")), 4)


def test_deleted_is_durable_when_quit_is_answered():
    with filled() as postern:
        pop = logged_in(postern)
        pop.ok("DELE 5")
        pop.ok("QUIT")
        postern.kill()
        wait_until(lambda: not postern.processes(), what="the end of the workers")
        postern.start()
        with logged_in(postern) as pop:
            eq(len(pop.lines("LIST")), 4)


def test_many_deletions_in_one_packet():
    with filled(40) as postern:
        pop = logged_in(postern)
        pop.send(b"".join(b"DELE %d\r\n" % n for n in range(1, 41)) + b"QUIT\r\n")
        replies = [pop.line() for _ in range(41)]
        check(all(reply.startswith("+OK") for reply in replies), replies)
        with logged_in(postern) as pop:
            eq(pop.ok("STAT"), "+OK 0 0")
            eq(pop.lines("LIST"), [])
            eq(pop.lines("UIDL"), [])


def test_session_limit():
    with filled(1, options=("--session-limit", "2")) as postern:
        one, two = logged_in(postern), logged_in(postern)
        with postern.pop3() as three:
            three.ok(f"USER {USER}")
            check(three.err("PASS wrong").startswith("-ERR [AUTH] "), "wrong password")
            three.ok(f"USER {USER}")
            check(three.err(f"PASS {PASSWORD}").startswith("-ERR [IN-USE] "))
            one.quit()
            three.login(USER, PASSWORD)
        two.reset()
        wait_until(lambda: _can_log_in(postern), what="a free place")


def _can_log_in(postern):
    with postern.pop3() as pop:
        pop.ok(f"USER {USER}")
        return pop.command(f"PASS {PASSWORD}").startswith("+OK")


def test_seen_is_kept():
    with filled(2) as postern:
        with logged_in(postern) as pop:
            pop.multi("TOP 1 1")
            pop.multi("RETR 2")
            pop.quit()

        def flags():
            rows = postern.ctl("mailbox", "show", USER, json_output=True)["list"]
            return ["seen" in row["flags"] for row in rows]

        wait_until(lambda: flags() == [False, True], what="Seen of what was retrieved alone")


def test_a_failed_login_keeps_nobody_waiting():
    with filled(1, auth_failure_delay="2s") as postern:
        slow = postern.pop3()
        slow.ok(f"USER {USER}")
        slow.send(b"PASS wrong\r\n")
        began = time.monotonic()
        with logged_in(postern) as pop:
            pop.ok("STAT")
            check(time.monotonic() - began < 1.9, "another session waits too")
        check(slow.line().startswith("-ERR [AUTH]"))
        check(time.monotonic() - began > 1.5, "the answer to a wrong password comes at once")
        slow.close()


def test_sessions_are_shown():
    with filled(1) as postern:
        with logged_in(postern) as pop:
            pop.ok("NOOP")
            rows = postern.ctl("sessions", json_output=True)
            check(any(USER in str(row.values()) and "transaction" in str(row.values())
                      for row in rows), rows)
