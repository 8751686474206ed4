"""What an administrator does about the store of a running server: check, repair, scrub, rebuild."""
from server import Server, check, eq, wait_until

USER = "ann@example.org"
MESSAGE = b"From: a@example.org\r\nSubject: one\r\n\r\n" + b"body of the message\r\n" * 20


def with_mail(postern, count=3):
    postern.start()
    postern.add_account(USER)
    for _ in range(count):
        postern.deliver(USER, MESSAGE)
    return postern


def facts(postern):
    return postern.ctl("status", json_output=True)["facts"]


def damage(postern):
    """An octet of the first message's text, on disk."""
    path = sorted((postern.directory / "state/storage/segments").glob("*.seg"))[0]
    with open(path, "r+b") as segment:
        at = segment.read().index(b"body of the message")
        segment.seek(at)
        segment.write(b"B")


def test_durability_in_status():
    with Server(modules={"storage": {"durability": "relaxed"}}) as postern:
        with_mail(postern)
        eq(facts(postern)["storage.durability"], "relaxed", "durability")
        check("storage.durability: relaxed" in postern.ctl("status"), postern.ctl("status"))
        said = postern.ctl("storage", "status", json_output=True)
        check("since the last checkpoint" in said["durability_means"], said)
        postern.conf["modules"]["storage"]["durability"] = "full"
        postern.write_config()
        postern.reload()
        eq(facts(postern)["storage.durability"], "full", "durability after a reload")


def test_damaged_message():
    """Found, named, told to the client, and removed when asked for."""
    with Server() as postern:
        with_mail(postern)
        eq(postern.ctl("storage", "check", json_output=True)["faults"], 0, "faults")
        damage(postern)
        said = postern.ctl("storage", "check", json_output=True)
        eq(said["faults"], 1, "faults")
        row = said["damage"][0]
        eq((row["account"], row["folder"], row["uid"]), (USER, "INBOX", 1), "the damaged message")
        check(row["segment"].endswith(".seg") and row["uidl"] and row["offset"], row)
        eq(postern.ctl("storage", "check", "--quick", json_output=True)["faults"], 0, "quick")
        eq(postern.ctl("storage", "check", "--user", USER, json_output=True)["faults"], 1, "user")
        said = postern.ctl("storage", "repair", json_output=True)
        eq(said["mended"], 0, "mended without --drop-damaged")
        postern.ctl("storage", "scrub")
        wait_until(lambda: "1 faults" in facts(postern).get("storage.scrub", ""), 30, "the scrub")
        postern.wait_log("scrub-done")
        eq(postern.ctl("storage", "scrub", "--status", json_output=True)["faults"], 1, "scrub")
        said = postern.ctl("storage", "repair", "--drop-damaged", json_output=True)
        check("expunged" in str(said), said)
        with postern.pop3() as pop:
            pop.login(USER, "secret")
            eq(pop.ok("STAT").split()[1], "2", "messages after the repair")
            eq(pop.multi("RETR 1"), MESSAGE)


def test_rebuild():
    """Asked for while mail is served, done at the next start; nothing is different then."""
    with Server() as postern:
        with_mail(postern)
        with postern.pop3() as pop:
            pop.login(USER, "secret")
            before = pop.multi("UIDL")
            pop.ok("DELE 2")
            pop.quit()
        postern.ctl("storage", "rebuild-index")
        wait_until(lambda: "will be made" in facts(postern).get("storage.index", ""), 10, "the fact")
        eq(postern.stop(), 0)
        postern.start()
        check("made anew from the segments" in facts(postern)["storage.index"], facts(postern))
        with postern.pop3() as pop:
            pop.login(USER, "secret")
            eq([line.split()[1] for line in pop.multi("UIDL").splitlines()],
               [line.split()[1] for line in before.splitlines() if not line.startswith(b"2 ")])
        eq(postern.ctl("storage", "check", json_output=True)["faults"], 0, "faults")


def test_scrub_survives_a_reload():
    """The new generation goes on; there is one result."""
    with Server(modules={"storage": {"scrub_rate": "256KiB"}}) as postern:
        with_mail(postern, 30)
        postern.deliver(USER, MESSAGE * 2000)
        postern.ctl("storage", "scrub")
        wait_until(lambda: "running" in facts(postern).get("storage.scrub", ""), 20, "its begin")
        postern.conf["modules"]["storage"]["scrub_rate"] = "1GiB"
        postern.write_config()
        postern.reload()
        postern.ctl("storage", "scrub")
        wait_until(lambda: "no faults" in facts(postern).get("storage.scrub", ""), 60, "its end")
