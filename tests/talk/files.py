"""Files below a directory argument: posternctl opens them for the server, and nothing else."""
import contextlib
import grp
import os
import pathlib
import pwd
import signal
import subprocess

from server import DEFAULT_USER, Server, Skip, check, eq, wait_until


def play(**server):
    return Server(modules={"files": {}}, server=server)


def do(postern, *words):
    return postern.ctl("files", "do", *words).rstrip("\n")


def refused(postern, error, *words):
    said = postern.ctl("files", *words, fails=True).stderr
    check(f": {error}" in said, said)


def open_for(postern, target):
    """What the workers have open for the command: its files and the connections that they came by.
    What the store and the others have open is their own affair, and may be more in a moment."""
    found = []
    for pid in postern.workers():
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return [name for name in found
            if name.startswith("socket:") or pathlib.Path(name).is_relative_to(target)]


def files_are_closed(postern, target, before):
    """posternctl may have its answer a moment before the worker closes the connection."""
    wait_until(lambda: len(open_for(postern, target)) <= len(before),
               what=f"the worker to have nothing open but {before}")


def test_files_are_made_changed_and_removed():
    with play() as postern:
        postern.start()
        target = postern.scratch / "target"
        before = open_for(postern, target)
        eq(do(postern, target, "create", "new", "--text", "one"), "one")
        eq(oct((target / "new").stat().st_mode & 0o777), "0o600")
        eq(oct(target.stat().st_mode & 0o777), "0o700")
        eq(target.stat().st_uid, os.geteuid(), "the owner")
        refused(postern, "EEXIST", "do", target, "create", "new")
        eq(do(postern, target, "write", "new", "--text", "t"), "tne")
        eq(do(postern, target, "read", "new"), "tne")
        eq(do(postern, target, "directory", "sub"), "a directory")
        eq(do(postern, target, "read", ""), "a directory")
        do(postern, target, "rename", "new", "--to", "sub/%41 näme")
        eq(os.listdir(target / "sub"), ["%41 näme"])
        eq(do(postern, target, "read", "sub/%41 näme"), "tne")
        refused(postern, "ENOTEMPTY", "do", target, "remove", "sub")
        do(postern, target, "remove", "sub/%41 näme")
        do(postern, target, "remove", "sub")
        eq(os.listdir(target), [])
        files_are_closed(postern, target, before)


def test_a_note_and_the_help():
    with play() as postern:
        postern.start()
        target = postern.scratch / "target"
        line = [postern.control, "--directory", postern.directory, "files", "do", target,
                "create", "x"]
        result = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
        check(f"in {target}" in result.stderr, result.stderr)
        text = postern.ctl("help", "files", "do")
        check("files do TARGET HOW PATH" in text, text)
        check("where (a directory, made if missing)" in text, text)
        check("where (a directory)" in postern.ctl("help", "files", "look"), text)
        said = postern.ctl("files", "look", postern.scratch / "none", "read", "x", fails=True)
        check("none: No such file or directory" in said.stderr, said.stderr)
        said = postern.ctl("files", "do", target / "x", "read", "x", fails=True)
        check("x: Not a directory" in said.stderr, said.stderr)


def test_paths_that_lead_elsewhere():
    with play() as postern:
        postern.start()
        target = postern.scratch / "target"
        target.mkdir()
        (postern.scratch / "secret").write_text("outside")
        (target / "up").symlink_to("..")
        (target / "link").symlink_to("../secret")
        (target / "dangling").symlink_to("../made")
        os.mkfifo(target / "fifo")
        for path in ("..", "../secret", "/etc/passwd", "up/../secret", "./fifo"):
            for how in ("read", "write", "create", "directory", "remove"):
                refused(postern, "EXDEV", "do", target, how, path)
        for how in ("read", "write", "remove"):
            refused(postern, "ELOOP", "do", target, how, "up/secret")
        refused(postern, "ELOOP", "do", target, "read", "link")
        refused(postern, "ELOOP", "do", target, "write", "link")
        refused(postern, "EEXIST", "do", target, "create", "dangling")
        refused(postern, "EOPNOTSUPP", "do", target, "read", "fifo")
        refused(postern, "EXDEV", "do", target, "rename", "link", "--to", "../moved")
        refused(postern, "EXDEV", "do", target, "rename", "../secret", "--to", "mine")
        eq(sorted(os.listdir(target)), ["dangling", "fifo", "link", "up"])
        eq((postern.scratch / "secret").read_text(), "outside")
        check(not (postern.scratch / "made").exists(), "a link was followed")


def test_a_directory_that_may_only_be_read():
    with play() as postern:
        postern.start()
        target = postern.scratch / "target"
        target.mkdir()
        (target / "file").write_text("as it was")
        eq(postern.ctl("files", "look", target, "read", "file"), "as it was\n")
        for how, path in (("create", "new"), ("write", "file"), ("directory", "new"),
                          ("remove", "file"), ("rename", "file")):
            refused(postern, "EACCES", "look", target, how, path)
        eq(os.listdir(target), ["file"])


def test_the_rights_are_those_of_who_asks():
    """The worker is another user and may not even enter the directory."""
    if os.geteuid() != 0:
        raise Skip("needs root, to be two users")
    group = grp.getgrgid(pwd.getpwnam(DEFAULT_USER).pw_gid)
    with play(control={"group": group.gr_name}) as postern:
        postern.start()
        private = postern.scratch / "private"
        private.mkdir(mode=0o700)
        (private / "file").write_text("for root")
        (private / "file").chmod(0o600)
        eq(do(postern, private, "read", "file"), "for root")
        socket = postern.directory / "run" / "control.sock"
        program = postern.scratch / "posternctl"
        program.write_bytes(pathlib.Path(postern.control).read_bytes())
        program.chmod(0o755)
        open_to_all = postern.scratch / "open"
        open_to_all.mkdir()
        (open_to_all / "file").write_text("for root")
        (open_to_all / "file").chmod(0o600)

        def as_nobody(*words):
            line = [program, "--socket", socket, "files", *words]
            return subprocess.run(line, capture_output=True, text=True, timeout=60,
                                  user=DEFAULT_USER, group=group.gr_gid,
                                  extra_groups=[])
        result = as_nobody("look", private, "read", "file")
        check("Permission denied" in result.stderr or "EACCES" in result.stderr, result.stderr)
        result = as_nobody("look", open_to_all, "read", "file")
        check(": EACCES" in result.stderr, result.stderr)
        result = as_nobody("do", open_to_all, "create", "new")
        check(": EACCES" in result.stderr, result.stderr)


def test_without_a_server():
    with play() as postern:
        target = postern.scratch / "target"
        words = ("--offline", "--modules", postern.module_directory, "files", "do", target)
        eq(postern.ctl(*words, "create", "new", "--text", "one"), "one\n")
        said = postern.ctl(*words, "read", "../x", fails=True).stderr
        check(": EXDEV" in said, said)


def test_posternctl_is_killed_in_the_middle():
    with play() as postern:
        postern.start()
        target = postern.scratch / "target"
        target.mkdir()
        (target / "one").write_text("1")
        before = open_for(postern, target)
        eq(postern.ctl("files", "many", target, "2000"), "2000\n")
        files_are_closed(postern, target, before)
        workers = postern.workers()
        for stopped in (False, True):
            line = [postern.control, "--directory", postern.directory, "files", "many", target,
                    "100000000"]
            asking = subprocess.Popen(line, stdout=subprocess.DEVNULL)
            wait_until(lambda: len(open_for(postern, target)) > len(before), what="the command to run")
            if stopped:
                asking.send_signal(signal.SIGSTOP)
            asking.kill()
            asking.wait()
            files_are_closed(postern, target, before)
        eq(postern.workers(), workers, "the workers")
        eq(do(postern, target, "read", "one"), "1")


def test_posternctl_says_nothing_while_the_server_stops():
    with play(stop_limit="1s") as postern:
        postern.start()
        target = postern.scratch / "target"
        target.mkdir()
        (target / "one").write_text("1")
        before = open_for(postern, target)
        line = [postern.control, "--directory", postern.directory, "files", "many", target,
                "100000000"]
        asking = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: len(open_for(postern, target)) > len(before), what="the command to run")
        asking.send_signal(signal.SIGSTOP)
        eq(postern.stop(), 0, "exit status of the server")
        asking.kill()
        asking.wait()
