"""pop3.so is replaced under live sessions by an edition with larger sessions and other words."""
import resource

from server import SLOW, Server, Skip, check, eq, wait_until

USER, PASSWORD = "ann@example.org", "secret"
FIRST, SECOND = "Postern", "Postern, second edition"
SESSIONS = int(10000 / SLOW)  # a sanitizer sees what it looks for in fewer


def edition(pop):
    return [line for line in pop.lines("CAPA") if line.startswith("IMPLEMENTATION")][0].split(" ", 1)[1]


def room_for(sessions):
    """Descriptors for either side of so many sessions: the server inherits the limit."""
    needed = sessions + 500
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Skip(f"only {hard} descriptors, {needed} needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def test_sessions_outlive_their_module():
    room_for(SESSIONS)
    with Server(modules={"accounts": {}}) as postern:
        second = postern.build.modules()["pop3_second"]
        first = postern.build.modules()["pop3"]
        postern.start()
        postern.add_account(USER, PASSWORD, "--session-limit", "0")
        postern.deliver(USER, b"Subject: one\r\n\r\nbody\r\n")
        old = []
        for n in range(SESSIONS):
            pop = postern.pop3()
            eq(pop.greeting, "+OK Postern ready")
            if n % 2:
                pop.login(USER, PASSWORD)
                pop.send(b"RET")  # half a command
            else:
                pop.send(b"US")
            old.append(pop)
        postern.replace_module("pop3", second)
        postern.reload()
        with postern.pop3() as new:
            eq(new.greeting, "+OK Postern ready, second edition")
            new.login(USER, PASSWORD)
            eq(edition(new), SECOND)
            new.quit()
        newer = postern.pop3()
        newer.login(USER, PASSWORD)
        postern.replace_module("pop3", first)
        postern.reload()
        eq(edition(newer), SECOND)
        eq(len(postern.generations()), 3)
        for n, pop in enumerate(old):
            if n % 2:
                pop.send(b"R 1\r\n")
                eq(pop.line(), "+OK 22 octets")
                eq(pop.text(), b"Subject: one\r\n\r\nbody\r\n")
            else:
                pop.send(b"ER " + USER.encode() + b"\r\n")
                check(pop.line().startswith("+OK "))
                check(pop.ok(f"PASS {PASSWORD}").startswith("+OK "))
            eq(edition(pop), FIRST)
            pop.quit()
        newer.quit()
        wait_until(lambda: len(postern.generations()) == 1, 30, "the end of the old generations")


test_sessions_outlive_their_module.limit = 300
test_sessions_outlive_their_module.alone = True
