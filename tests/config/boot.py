"""Options that a reload may not change: refused with their place, the running server stays."""
import server


def test_reload_cannot_change_them():
    with server.Server() as instance:
        instance.start()
        before = instance.config_file.read_text()
        instance.conf["modules"]["storage"]["path"] = str(instance.directory / "elsewhere")
        instance.write_config()
        line = 1 + instance.config_file.read_text().split("\n").index(
            next(row for row in instance.config_file.read_text().split("\n") if "path" in row))
        for words in (("reload",), ("reload", "--dry-run")):
            refused = instance.ctl(*words, fails=True)
            text = refused.stderr + refused.stdout
            server.check(f"postern.yaml:{line}:" in text and "storage.path" in text
                         and "stop the server and start it again" in text, text)
        with instance.pop3() as client:
            client.command("QUIT")
        instance.config_file.write_text(before)
        instance.reload()
        server.check(not (instance.directory / "elsewhere").exists())
