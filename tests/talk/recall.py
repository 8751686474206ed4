"""Deleted by mistake: what a client removed over POP3 comes back, with the same unique ids, and the
history says who it was. The examples of docs/operator.md, "Deleted by mistake"."""
import datetime
import json
import os
import time

from server import Server, check, eq, wait_until

USER, OTHER, PASSWORD = "anna@example.org", "rescue@example.org", "correct horse"


def mail(number):
    return f"Subject: {number}\r\n\r\n.text of {number}\r\n".encode()


def moment():
    """A moment after all that was and before all that will be."""
    time.sleep(0.005)
    now = datetime.datetime.now(datetime.timezone.utc)
    time.sleep(0.005)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def logins(postern):
    """The ids of all sessions that logged in, as the log has them; it may be behind."""
    text = (postern.directory / "log" / "all.json").read_text()
    return [event["session"] for event in map(json.loads, text.splitlines())
            if event["event"] == "login"]


def log_in(postern, pop, user):
    """The id of the session."""
    pop.login(user, PASSWORD)
    postern.sessions += 1
    wait_until(lambda: len(logins(postern)) == postern.sessions, what="the login in the log")
    return logins(postern)[-1]


def maildrop(postern, user=USER):
    """What a client sees: unique id -> text, in order."""
    with postern.pop3() as pop:
        log_in(postern, pop, user)
        ids = [line.split() for line in pop.lines("UIDL")]
        return {uidl: pop.multi(f"RETR {number}") for number, uidl in ids}


def started(environment=None):
    postern = Server({"logging": {"files": [{"path": "{log}/all.json", "format": "json"}]}})
    postern.environment.update(environment or {})
    postern.start()
    postern.add_account(USER, PASSWORD)
    postern.sessions = 0
    return postern


def delete(postern, *numbers):
    """A session that reads and deletes; its id."""
    with postern.pop3() as pop:
        session = log_in(postern, pop, USER)
        for number in numbers:
            pop.multi(f"RETR {number}")
            pop.ok(f"DELE {number}")
        pop.quit()
    return session


def test_undelete_what_a_client_deleted():
    with started() as postern:
        for number in range(5):
            postern.deliver(USER, mail(number))
        before = maildrop(postern)
        session = delete(postern, 2, 3, 4)
        gone = list(before)[1:4]
        events = postern.ctl("mailbox", "history", USER, json_output=True)
        eq([e["event"] for e in events[:5]], ["delivered"] * 5, "the first events")
        eq(events[0]["session"], f"ctl:{os.geteuid()} deliver", "who delivered")
        expunged = [e for e in events if e["event"] == "expunged"]
        eq(sorted(e["uidl"] for e in expunged), sorted(gone), "what was deleted")
        eq({e["session"] for e in expunged}, {session}, "who deleted it")
        check(any(e["event"] == "flags" and e["flags"] == "seen" and e["uidl"] == gone[0]
                  for e in events), f"no read message in {events}")
        shown = postern.ctl("mailbox", "undelete", USER, "--dry-run", json_output=True)
        eq([m["uidl"] for m in shown["messages"]], gone, "the dry run")
        eq(list(maildrop(postern)), [u for u in before if u not in gone], "still gone")
        one = postern.ctl("mailbox", "undelete", USER, "--uidl", gone[1], json_output=True)
        eq(one["folders"][0]["restored"], 1, "one comes back")
        rest = postern.ctl("mailbox", "undelete", USER, "--since", "2h", json_output=True)
        eq((rest["folders"][0]["restored"], rest["folders"][0]["kept"]), (2, 1), "the rest")
        eq(maildrop(postern), before, "the maildrop")
        restored = [e for e in postern.ctl("mailbox", "history", USER, "--since", "1h",
                                           json_output=True) if e["event"] == "restored"]
        eq({e["session"] for e in restored}, {f"ctl:{os.geteuid()} undelete"}, "who brought it back")


def test_restore_at_a_moment():
    with started() as postern:
        postern.add_account(OTHER, PASSWORD)
        for number in range(4):
            postern.deliver(USER, mail(number))
        before = maildrop(postern)
        good = moment()
        delete(postern, 1, 2)
        postern.deliver(USER, mail(9))
        after = maildrop(postern)
        postern.ctl("mailbox", "restore", USER, "--at", good, "--into", OTHER)
        eq(maildrop(postern, OTHER), before, "the copy")
        eq(maildrop(postern), after, "the mailbox itself")
        counted = postern.ctl("mailbox", "restore", USER, "--at", good, "--exact", "--dry-run",
                              json_output=True)["folders"][0]
        eq((counted["restored"], counted["kept"], counted["removed"]), (2, 2, 1), "the dry run")
        postern.ctl("mailbox", "restore", USER, "--at", good)
        eq(maildrop(postern), {**after, **before}, "what was there, and what came")
        postern.ctl("mailbox", "restore", USER, "--at", good, "--exact")
        eq(maildrop(postern), before, "as it was")
        again = postern.ctl("mailbox", "restore", USER, "--at", good, "--exact",
                            json_output=True)["folders"][0]
        eq((again["restored"], again["kept"], again["removed"]), (0, 4, 0), "once more")


def test_a_session_sees_what_it_saw():
    """Whoever is logged in meanwhile keeps the maildrop of the login."""
    with started() as postern:
        for number in range(3):
            postern.deliver(USER, mail(number))
        good = moment()
        delete(postern, 1)
        with postern.pop3() as pop:
            log_in(postern, pop, USER)
            seen = pop.lines("UIDL")
            postern.ctl("mailbox", "restore", USER, "--at", good, "--exact")
            eq(pop.lines("UIDL"), seen, "the session's own list")
            pop.multi("RETR 1")
            pop.quit()
        eq(len(maildrop(postern)), 3, "messages of the next session")


def test_times_without_a_zone_are_local():
    postern = started({"TZ": "XYZ-5:30"})
    with postern:
        postern.deliver(USER, mail(1))
        local = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
        for offset, events in ((-60, 1), (60, 0)):
            since = (local + datetime.timedelta(seconds=offset)).strftime("%Y-%m-%d %H:%M:%S")
            eq(len(postern.ctl("mailbox", "history", USER, "--since", since, json_output=True)),
               events, f"events since {since}")


def test_what_cannot_be_restored():
    with started() as postern:
        for line, says in (
                (("restore", USER), "Say which moment with --at"),
                (("restore", USER, "--at", "2040-01-01"), "still to come"),
                (("restore", USER, "--at", "1h", "--into", USER), "is the account itself"),
                (("undelete", USER, "--since", "yesterday"), "is no moment"),
                (("history", "nobody@example.org"), "There is no account")):
            result = postern.ctl("mailbox", *line, fails=True)
            check(says in result.stderr, result.stderr)
