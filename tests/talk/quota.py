"""Quotas: refused with a sentence that helps, free again after a delete, told in the log."""
from server import Server, check, eq

ANN, BOB, PASSWORD = "ann@example.org", "bob@example.org", "secret"
MESSAGE = b"Subject: x\r\n\r\n" + b"0123456789abcdef\r\n" * 5


def refused(postern, user, message=MESSAGE):
    return postern.ctl("mailbox", "deliver", user, input=message, fails=True).stderr


def row(postern, name, *owner):
    rows = postern.ctl("mailbox", "quota", *owner, json_output=True)
    return next(r for r in rows if r["name"] == name)


def test_deliver_until_refused_delete_deliver_again():
    with Server().start() as postern:
        postern.add_account(ANN, PASSWORD, "--quota-messages", "10")
        for _ in range(10):
            postern.deliver(ANN, MESSAGE)
        said = refused(postern, ANN)
        check("ann@example.org holds 10 of 10 messages: the message was not delivered. Delete mail, "
              "or raise the quota: posternctl account set ann@example.org --quota-messages N"
              in said, said)
        postern.wait_log("quota-warning")
        postern.wait_log("percent=95")
        postern.wait_log("quota-exceeded")
        with postern.pop3() as pop:
            pop.login(ANN, PASSWORD)
            pop.ok("DELE 1")
            refused(postern, ANN)
            pop.quit()
        postern.deliver(ANN, MESSAGE)
        refused(postern, ANN)
        eq(row(postern, ANN)["messages_percent"], 100, "percent")
        postern.ctl("account", "set", ANN, "--quota-messages", "none")
        postern.deliver(ANN, MESSAGE)
        eq(row(postern, ANN, ANN)["messages"], 11, "messages")


def test_a_domain_counts_all_its_accounts():
    octets = len(MESSAGE)
    with Server(modules={"storage": {"quota_warnings": [50]}}).start() as postern:
        for user in (ANN, BOB):
            postern.add_account(user, PASSWORD)
        postern.ctl("domain", "set", "example.org", "--quota-octets", str(4 * octets + 1))
        for user in (ANN, BOB, ANN, BOB):
            postern.deliver(user, MESSAGE)
        said = refused(postern, BOB)
        check("The domain example.org holds" in said and
              "posternctl domain set example.org --quota-octets SIZE" in said, said)
        postern.wait_log("domain=example.org")
        found = row(postern, "example.org", "example.org")
        eq((found["messages"], found["octets"], found["octets_limit"]),
           (4, 4 * octets, 4 * octets + 1), "usage")
        postern.reload()
        refused(postern, ANN)
        postern.ctl("domain", "set", "example.org", "--quota-octets", "default")
        postern.deliver(ANN, MESSAGE)


def test_a_message_that_is_too_large():
    with Server(modules={"storage": {"message_size_limit": "64KiB"}}).start() as postern:
        postern.add_account(ANN, PASSWORD)
        said = refused(postern, ANN, b"x" * 70000)
        check("larger than message_size_limit (64 KiB)" in said, said)


def test_mail_of_a_removed_account_is_purged():
    with Server().start() as postern:
        for _ in range(2):
            postern.add_account(ANN, PASSWORD)
            postern.deliver(ANN, MESSAGE)
            postern.ctl("account", "remove", ANN)
            check("the account is gone" in postern.ctl("mailbox", "list"), "mailbox list")
        # a new account of the name is another: it begins empty and keeps what it gets
        postern.add_account(ANN, PASSWORD)
        postern.deliver(ANN, MESSAGE)
        eq(postern.ctl("mailbox", "purge", ANN, json_output=True)["messages"], 2, "purged")
        check("is gone" not in postern.ctl("mailbox", "list"), "mailbox list")
        said = postern.ctl("mailbox", "purge", ANN, fails=True).stderr
        check("There is no mail of an account" in said, said)
        with postern.pop3() as pop:
            pop.login(ANN, PASSWORD)
            check(pop.ok("STAT").startswith("+OK 1 "), "STAT")
            pop.quit()
