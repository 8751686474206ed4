"""Snapshots of a live server: made while mail comes and goes, verified, and brought back."""
import os
import shutil
import signal
import subprocess
import threading

from server import Server, Skip, check, eq, wait_until

ANN, BOB, PASSWORD = "ann@example.org", "bob@example.org", "secret"


def start():
    postern = Server()
    postern.start()
    postern.add_account(ANN, PASSWORD)
    postern.add_account(BOB, PASSWORD)
    return postern


def place(postern):
    """Nobody but who runs the scene may enter it; the worker is another user."""
    path = postern.scratch / "backup"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def backup(postern, command, *options, **more):
    return postern.ctl("backup", command, place(postern), *options, json_output=True, **more)


def fails(postern, command, *options):
    return postern.ctl("backup", command, place(postern), *options, fails=True).stderr


def message(number, body="text"):
    return f"Subject: {number}\n\n{body}\n".encode()


def fill(postern, count, user=ANN):
    mbox = postern.scratch / "mbox"
    mbox.write_text("".join(f"From a@b Thu Aug 22 12:36:23 2002\nSubject: {user} {number}\n\n"
                            f"{'text ' * 200}\n\n" for number in range(count)))
    postern.import_(user, mbox)


def uidls(postern, user=ANN):
    with postern.pop3() as pop:
        pop.login(user, PASSWORD)
        return {line.split()[1]: pop.multi(f"RETR {line.split()[0]}") for line in pop.lines("UIDL")}


def delete(postern, *numbers, user=ANN):
    with postern.pop3() as pop:
        pop.login(user, PASSWORD)
        for number in numbers:
            pop.ok(f"DELE {number}")
        pop.quit()


def test_while_mail_comes_and_goes():
    """Every message whose delivery was acknowledged before the command began is in the snapshot."""
    with start() as postern:
        fill(postern, 400)
        told, ended = [], threading.Event()

        def keep_delivering():
            while not ended.is_set():
                number = len(told)
                postern.deliver(BOB, message(number))
                told.append(number)

        def keep_deleting():
            while not ended.is_set():
                delete(postern, 1)
        threads = [threading.Thread(target=keep_delivering), threading.Thread(target=keep_deleting)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                wait_until(lambda: len(told) > 2, what="a few deliveries")
                known = len(told)
                result = backup(postern, "create")
                check(result["damaged_in_store"] == 0, result)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        eq(backup(postern, "verify")["damaged"], 0)
        delete(postern, *range(1, len(told) + 1), user=BOB)
        backup(postern, "restore", "--user", BOB)
        found = {text.split(b"\r\n")[0] for text in uidls(postern, BOB).values()}
        missing = [n for n in range(known) if f"Subject: {n}".encode() not in found]
        eq(missing, [], "messages that the snapshot lacks")


def test_only_what_is_new_is_copied():
    with start() as postern:
        fill(postern, 300)
        first = backup(postern, "create")
        check(first["octets_copied"] > 300000, first)
        postern.deliver(ANN, message("new"))
        second = backup(postern, "create")
        check(0 < second["octets_copied"] < 1000, second)
        eq(second["messages"], 301)
        rows = backup(postern, "list")
        eq([row["messages"] for row in rows], [300, 301])
        eq([row["accounts"] for row in rows], [2, 2])
        eq(backup(postern, "prune", "--keep", "1")["snapshots_removed"], 1)
        eq(backup(postern, "verify")["snapshots"], 1)
        owners = {path.stat().st_uid for path in place(postern).rglob("*")}
        eq(owners, {os.geteuid()}, "owners of the files")


def test_a_flipped_octet_is_found():
    with start() as postern:
        fill(postern, 50)
        backup(postern, "create")
        segment = next((place(postern) / "segments").glob("*.seg"))
        octets = bytearray(segment.read_bytes())
        octets[octets.index(b"text text", len(octets) // 2)] ^= 1
        segment.write_bytes(octets)
        said = fails(postern, "verify")
        check(segment.name in said and "damaged in 1 places" in said, said)
        delete(postern, *range(1, 51))
        said = fails(postern, "restore")
        check("49 messages were restored" in said and "1 are damaged" in said, said)


def test_a_message_and_a_mailbox_come_back():
    with start() as postern:
        fill(postern, 20)
        fill(postern, 5, BOB)
        before = uidls(postern)
        backup(postern, "create")
        delete(postern, *range(5, 21))
        delete(postern, *range(1, 6), user=BOB)
        lost = sorted(set(before) - set(uidls(postern)))
        result = backup(postern, "restore", "--user", ANN, "--message", lost[3])
        eq(result["restored"], 1)
        eq(uidls(postern)[lost[3]], before[lost[3]])
        eq(backup(postern, "restore", "--dry-run")["restored"], 20)
        eq(backup(postern, "restore", "--user", ANN)["restored"], 15)
        eq(uidls(postern), before)
        eq(uidls(postern, BOB), {})
        eq(backup(postern, "restore")["restored"], 5)
        eq(backup(postern, "restore")["restored"], 0)


def test_a_new_machine():
    """Another server, without accounts or mail, stopped: all comes back, and logins work."""
    with start() as postern:
        fill(postern, 30)
        postern.deliver(ANN, message("in a folder"), "--folder", "Archive")
        before = uidls(postern)
        backup(postern, "create")
        with Server() as fresh:
            shutil.copytree(place(postern), place(fresh), dirs_exist_ok=True)
            result = fresh.ctl("--offline", "--modules", fresh.module_directory, "backup",
                               "restore", place(fresh), json_output=True)
            eq((result["accounts_added"], result["restored"]), (2, 31))
            fresh.start()
            eq(uidls(fresh), before)
            eq(uidls(fresh, BOB), {})
            said = fails(fresh, "create")
            check("another store" in said, said)


def test_a_quota_refuses_and_is_told():
    with start() as postern:
        fill(postern, 20)
        fill(postern, 3, BOB)
        before = uidls(postern)
        backup(postern, "create")
        delete(postern, *range(1, 21))
        delete(postern, 1, user=BOB)
        postern.ctl("account", "set", ANN, "--quota-messages", "5")
        said = fails(postern, "restore")
        check("6 messages were restored" in said and "15 were refused" in said, said)
        check(f"{ANN}: 15 messages are left out" in said and "quota" in said, said)
        eq(len(uidls(postern)), 5)
        postern.ctl("account", "set", ANN, "--quota-messages", "none")
        eq(backup(postern, "restore")["restored"], 15)
        eq(uidls(postern), before)


def test_killed_in_the_middle():
    with start() as postern:
        fill(postern, 300)
        line = [postern.control, "--directory", postern.directory, "backup", "create",
                place(postern), "--rate", "100K"]
        asking = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        segments = place(postern) / "segments"
        wait_until(lambda: any(path.stat().st_size > 100000 for path in segments.glob("*.seg")),
                   what="the copy to be under way")
        said = fails(postern, "create")
        check("another command is using the backup" in said, said)
        asking.send_signal(signal.SIGKILL)
        asking.wait()
        eq(backup(postern, "list"), [])
        wait_until(lambda: "using the backup" not in attempt(postern), what="the lock to be free")
        result = backup(postern, "create")
        eq(result["messages"], 300)
        eq(backup(postern, "verify")["damaged"], 0)


def attempt(postern):
    line = [postern.control, "--directory", postern.directory, "backup", "create", place(postern)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False).stderr


def test_the_disk_of_the_backup_is_full():
    with start() as postern:
        fill(postern, 200)
        line = [postern.control, "--directory", postern.directory, "backup", "create",
                place(postern)]
        limited = ["sh", "-c", "mount -t tmpfs -o size=100k,mode=700 tmpfs \"$1\" && shift && "
                   "exec \"$@\"", "sh", place(postern), *line]
        result = subprocess.run(["unshare", "--mount", *limited], capture_output=True, text=True,
                                timeout=60, check=False)
        if "unshare" in result.stderr or "mount" in result.stderr:
            raise Skip("no file system can be mounted here")
        check(result.returncode == 1 and "the disk is full" in result.stderr, result.stderr)
        eq(backup(postern, "create")["messages"], 200)
