"""The disk is full, over quota, read-only or failing while the server runs: what clients and
deliverers are told, that nothing is lost, and that service resumes by itself."""
import contextlib
import ctypes
import errno
import mmap
import os
import pathlib
import subprocess

from server import Server, Skip, check, eq, wait_until

USER, PASSWORD = "ann@example.org", "secret"
CHECKPOINT = "200ms"  # what cannot be taken back is tried again as often


def message(number, octets=0):
    return b"Subject: %d\r\n\r\n" % number + b"x" * 70 * (octets // 72) + b"\r\n"


class FailingDisk:
    """Calls of a server that change its state fail as it says: tests/talk/failing_disk.c."""

    def __init__(self, postern):
        library = postern.build.path / "tests/talk/.libs/failing_disk.so"
        if not library.exists():
            raise Skip("no failing disk in this build")
        path = postern.scratch / "failing"
        path.write_bytes(b"\0" * mmap.PAGESIZE)
        path.chmod(0o644)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        postern.environment.update(LD_PRELOAD=str(library), POSTERN_FAILING_DISK=str(path))

    @contextlib.contextmanager
    def fails(self, error):
        number = ctypes.c_int.from_buffer(self.map)
        number.value = error
        try:
            yield
        finally:
            number.value = 0


def start(postern, count=3):
    postern.start()
    postern.add_account(USER, PASSWORD)
    for number in range(count):
        postern.deliver(USER, message(number))


def server():
    return Server(modules={"storage": {"checkpoint_interval": CHECKPOINT}})


def refusal(postern, text=message(99)):
    """Why a message is not delivered."""
    result = postern.ctl("mailbox", "deliver", USER, input=text, fails=True)
    eq(result.returncode, os.EX_TEMPFAIL, "exit status")
    return result.stderr


def facts(postern):
    return postern.ctl("status", json_output=True)["facts"]


def wait_fact(postern, name, *begin):
    """Until it begins with one of these."""
    wait_until(lambda: facts(postern).get(name, "").startswith(begin), what=f"{name}: {begin}")


def wait_no_facts(postern):
    wait_until(lambda: not {"storage.writing", "storage.disk"} & set(facts(postern)),
               what="the end of what status tells of the disk")


def expect_mail(postern, *numbers):
    """Login, STAT, LIST, UIDL and RETR work, and tell of these messages alone."""
    with postern.pop3() as pop:
        pop.login(USER, PASSWORD)
        eq(pop.ok("STAT").split()[1], str(len(numbers)), "messages")
        found = [pop.multi(f"RETR {line.split()[0]}") for line in pop.lines("LIST")]
        eq(found, [message(number) for number in numbers], "the messages")
        eq(len(pop.lines("UIDL")), len(numbers), "unique ids")
        pop.quit()


def delete(postern, number=1):
    """What QUIT says after a DELE."""
    with postern.pop3() as pop:
        pop.login(USER, PASSWORD)
        pop.ok(f"DELE {number}")
        return pop.command("QUIT")


def expect_resumed(postern, *numbers):
    """The same worker goes on, without anybody's doing."""
    postern.deliver(USER, message(50))
    wait_no_facts(postern)
    expect_mail(postern, *numbers, 50)
    check(delete(postern).startswith("+OK"), "a deletion")
    expect_mail(postern, *numbers[1:], 50)
    eq(postern.ctl("storage", "check", json_output=True)["faults"], 0, "faults")
    postern.stop()
    postern.start()
    expect_mail(postern, *numbers[1:], 50)


def cannot_be_written(error, text):
    with server() as postern:
        disk = FailingDisk(postern)
        start(postern)
        workers = postern.workers()
        with disk.fails(error):
            for _ in range(2):
                check("input or output error" in refusal(postern), refusal(postern))
                eq(delete(postern), "-ERR [SYS/TEMP] not everything was deleted; try again later", "QUIT")
                expect_mail(postern, 0, 1, 2)
            check(text in postern.log(), f"the log does not tell of a {text}")
            postern.reload(fails=True)
            wait_fact(postern, "storage.writing", "failing")
        wait_no_facts(postern)
        eq(postern.workers(), workers, "workers")
        expect_resumed(postern, 0, 1, 2)


def test_read_only():
    cannot_be_written(errno.EROFS, "Read-only file system")


def test_writes_that_fail():
    cannot_be_written(errno.EIO, "Input/output error")


def test_over_quota():
    """Deletions take no space; deliveries say what is in the way."""
    with server() as postern:
        disk = FailingDisk(postern)
        start(postern)
        with disk.fails(errno.EDQUOT):
            taken = 0
            while taken < 40:  # of the space that is allocated already
                result = subprocess.run(
                    [postern.control, "--directory", postern.directory, "mailbox", "deliver",
                     USER, "--folder", "Other"], input=message(7, 300000), capture_output=True,
                    timeout=60, check=False)
                if result.returncode != 0:
                    break
                taken += 1
            check("the disk is full; make space and try again" in refusal(postern,
                  message(8, 300000)), "the reason")
            wait_fact(postern, "storage.disk", "full")
            check(delete(postern, 3).startswith("+OK"), "a deletion on a full disk")
            expect_mail(postern, 0, 1)
        expect_resumed(postern, 0, 1)


# ---- real file systems ---------------------------------------------------------------------------


@contextlib.contextmanager
def mounted(postern, *options):
    """The state directory on a file system of its own."""
    state = postern.directory / "state"
    state.mkdir(mode=0o755)
    result = subprocess.run(["mount", *map(str, options), state], capture_output=True, text=True,
                            check=False)
    if result.returncode != 0:
        raise Skip("no file system can be mounted here")
    try:
        yield state
    finally:
        if postern.alive():
            postern.stop()
        subprocess.run(["umount", "--lazy", state], check=False)


def test_full():
    """A small disk is filled by deliveries; a deletion works on it, and makes no room; when there is
    room, deliveries are taken again."""
    with server() as postern, mounted(postern, "-t", "tmpfs", "-o", "size=24m,mode=755", "none") as at:
        start(postern)
        filler = at / "filler"
        filler.write_bytes(b"x" * (6 << 20))
        delivered = 0
        while delivered < 200:
            result = subprocess.run(
                [postern.control, "--directory", postern.directory, "mailbox", "deliver", USER,
                 "--folder", "Other"], input=message(7, 400000), capture_output=True, timeout=60,
                check=False)
            if result.returncode != 0:
                break
            delivered += 1
        eq(result.returncode, os.EX_TEMPFAIL, "exit status")
        check(b"the disk is full; make space and try again" in result.stderr, result.stderr)
        wait_fact(postern, "storage.disk", "full")
        check("storage-full" in postern.log(), "storage-full in the log")
        check(delete(postern, 3).startswith("+OK"), "a deletion on a full disk")
        check("the disk is full" in refusal(postern, message(8, 400000)), "a deletion makes no room")
        expect_mail(postern, 0, 1)
        filler.unlink()
        postern.deliver(USER, message(9, 400000), "--folder", "Other")
        expect_resumed(postern, 0, 1)


def test_space_by_compaction():
    """On a full disk all deleted mail goes at once when it is asked for; then there is room."""
    storage = {"segment_size": "1MiB", "checkpoint_interval": CHECKPOINT}
    with Server(modules={"storage": storage}) as postern, \
            mounted(postern, "-t", "tmpfs", "-o", "size=24m,mode=755", "none"):
        start(postern, 0)
        count = 0
        while count < 200:
            try:
                postern.deliver(USER, message(count, 200000))
            except AssertionError:
                break
            count += 1
        check(10 < count < 200, f"{count} messages on the disk")
        with postern.pop3() as pop:
            pop.login(USER, PASSWORD)
            for number in range(1, count):
                pop.ok(f"DELE {number}")
            pop.quit()
        check("the disk is full" in refusal(postern, message(8, 400000)), "a deletion makes no room")
        said = postern.ctl("storage", "compact", "--retention", "0", json_output=True)
        check(said["octets_reclaimed"] > 4 << 20, said)
        postern.deliver(USER, message(9, 400000))
        with postern.pop3() as pop:
            pop.login(USER, PASSWORD)
            eq(pop.multi("RETR 1"), message(count - 1, 200000))
            eq(pop.multi("RETR 2"), message(9, 400000))
        eq(postern.ctl("storage", "check", json_output=True)["faults"], 0, "faults")


def test_ext4_gives_up():
    """An error of the file system makes it read-only for good: its journal is lost, so that nobody
    knows what of the last seconds is on disk. Mail is read on; the rest waits for a restart."""
    with server() as postern:
        image = postern.scratch / "image"
        made = subprocess.run(["sh", "-c", 'truncate -s 64M "$1" && mkfs.ext4 -q "$1"', "sh", image],
                              capture_output=True, check=False)
        if made.returncode != 0:
            raise Skip("no ext4 can be made here")
        with mounted(postern, "-o", "loop,errors=remount-ro", image) as at:
            at.chmod(0o755)
            device = subprocess.run(["findmnt", "-no", "SOURCE", at], capture_output=True, text=True,
                                    check=True).stdout.strip()
            trigger = pathlib.Path("/sys/fs/ext4", pathlib.Path(device).name, "trigger_fs_error")
            if not trigger.exists():
                raise Skip("this kernel's ext4 does not fail when it is asked to")
            start(postern)
            trigger.write_text("1")
            eq(delete(postern), "-ERR [SYS/TEMP] not everything was deleted; try again later", "QUIT")
            check("input or output error" in refusal(postern), "the reason")
            expect_mail(postern, 0, 1, 2)
            # Broken, if a sync of the index met it; there is none if all had been synced before.
            wait_fact(postern, "storage.writing", "broken", "failing")
            postern.stop()
            subprocess.run(["umount", at], check=True)
            subprocess.run(["fsck.ext4", "-p", image], capture_output=True, check=False)
            subprocess.run(["mount", "-o", "loop", image, at], check=True)
            postern.start()
            expect_resumed(postern, 0, 1, 2)
