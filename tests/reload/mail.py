"""Reloads of a whole mail server, with 10,000 POP3 sessions that each have half a command sent."""
import concurrent.futures
import signal

from phase_server import allow_descriptors
from server import Server, Skip, check, eq, wait_until

SESSIONS = 10000
USERS = 20
MESSAGE = b"From: a@example.org\r\nSubject: half way\r\n\r\nbody of %d\r\n"


def test_hup_under_load():
    count = min(SESSIONS, allow_descriptors(SESSIONS + 500) - 500)
    if count < 1000:
        raise Skip("too few descriptors for sessions")
    with Server(server={"probation": "1s"}) as postern:
        postern.start()
        for number in range(USERS):
            postern.add_account(f"user{number}@example.org", "secret", "--session-limit", "0")
            postern.deliver(f"user{number}@example.org", MESSAGE % number)
        sessions = log_in(postern, count)
        for session in sessions:
            session.send(b"ST")

        replace_all(postern)
        before = postern.notifications.count("READY=1")
        postern.signal(signal.SIGHUP)
        postern.wait_ready(before, 60)
        with postern.pop3() as newer:
            check("second edition" in newer.greeting, f"greeting: {newer.greeting}")
            newer.login("user0@example.org", "secret")
            eq(newer.ok("STAT").split()[1], "1", "messages")
        postern.reload()
        postern.reload()
        refuse(postern)

        for session in sessions:
            session.send(b"AT\r\nRETR 1\r\n")
        for number, session in enumerate(sessions):
            eq(session.line().split()[:2], ["+OK", "1"], "STAT, begun before the reload")
            check(session.line().startswith("+OK"), "RETR")
            check(session.text().endswith(b"body of %d\r\n" % (number % USERS)), "text")
        keep, rest = sessions[:100], sessions[100:]
        for session in rest:
            session.close()
        # What an old generation deletes is gone for the new one.
        for session in keep[:USERS]:
            session.ok("DELE 1")
            session.quit()
        with postern.pop3() as newer:
            newer.login("user3@example.org", "secret")
            eq(newer.ok("STAT").split()[1], "0", "messages after another generation's DELE")
        for session in keep[USERS:]:
            session.quit()
        wait_until(lambda: len(postern.generations()) <= 2, 60, "end of drained generations")


test_hup_under_load.limit = 600
test_hup_under_load.alone = True


def log_in(postern, count):
    def one(number):
        session = postern.pop3(timeout=120)
        session.login(f"user{number % USERS}@example.org", "secret")
        return session

    for number in range(USERS):  # so that the other passwords are known already
        one(number).quit()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return list(pool.map(one, range(count)))


def replace_all(postern):
    """Every module and the program, as an upgrade of the package does."""
    for name, path in postern.build.modules().items():
        if (postern.module_directory / f"{name}.so").exists() and name != "pop3":
            postern.replace_module(name, path)
    postern.replace_module("pop3", postern.build.modules()["pop3_second"])
    postern.replace_daemon(postern.build.program("posternd"))


def refuse(postern):
    """Nothing of this reaches a client."""
    for name in ("storage", "accounts", "logging", "pop3"):
        path = postern.module_directory / f"{name}.so"
        good = path.read_bytes()
        postern.replace_module(name, good[:12000])  # within its code
        result = postern.reload(fails=True)
        check(f"{name}.so" in result.stderr, result.stderr)
        postern.replace_module(name, good)
    good = postern.config_file.read_text()
    postern.write_config(good.replace("default_domain", "defualt_domain"))
    check("default_domain" in postern.reload(fails=True).stderr, "nearest name")
    postern.write_config(good)
