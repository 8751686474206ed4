"""posternctl --offline: commands on an instance whose server is stopped."""
from server import Server, check, eq

USER, PASSWORD = "ann@example.org", "secret"


def offline(postern, *words, **more):
    return postern.ctl("--offline", "--modules", postern.module_directory, *words, **more)


def test_accounts_and_mail_without_a_server():
    with Server() as postern:
        offline(postern, "account", "add", USER, input=PASSWORD + "\n")
        rows = offline(postern, "account", "list", json_output=True)
        check(USER in str(rows), rows)
        offline(postern, "mailbox", "deliver", USER, input="Subject: one\r\n\r\nbody\r\n")
        eq(offline(postern, "nonsense", fails=True).returncode, 2)
        check(offline(postern, "account", "add", USER, input="x\n", fails=True).returncode == 1)
        said = offline(postern, "status", fails=True).stderr
        check("status needs the running server" in said, said)
        postern.start()
        with postern.pop3() as pop:
            pop.login(USER, PASSWORD)
            eq(pop.multi("RETR 1"), b"Subject: one\r\n\r\nbody\r\n")
        result = offline(postern, "account", "list", fails=True)
        check("running" in result.stderr and "--offline" in result.stderr, result.stderr)
        postern.stop()
        check(USER in offline(postern, "account", "list"))


def test_a_wrong_configuration_is_told():
    with Server() as postern:
        postern.write_config("modules:\n  pop3:\n    idle_timeuot: 10m\n")
        result = offline(postern, "account", "list", fails=True)
        check("postern.yaml:3" in result.stderr and "idle_timeout" in result.stderr, result.stderr)
