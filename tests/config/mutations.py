"""Broken configurations: every planted fault is named at its line, in one run, and nothing else."""
import pathlib
import pwd
import os
import re
import subprocess
import tempfile

import faults
import server

FILES = 200


def judge(build, directory):
    """What `posternd --check` says of a directory: (exit code, [(file, line, text)])."""
    found = subprocess.run(
        [build.program("posternd"), "--check", "--directory", directory, "--modules",
         build.path / "tests/modules/.libs"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    rows = []
    for line in found.stderr.decode(errors="replace").splitlines():
        match = re.match(r"(?:warning: )?(?:.*/)?([^/:]+):(\d+):(?:(\d+):)? (.*)", line)
        rows.append((match[1], int(match[2]), match[4]) if match else ("", 0, line))
    return found.returncode, rows


def write(directory, files):
    for name, content in files.items():
        path = pathlib.Path(directory, name)
        path.write_bytes(content)
        path.chmod(0o600)


def complaint(files, expected, code, rows):
    """What is wrong with the answer; empty if nothing is."""
    text = ""
    for name, line, fragment in expected:
        if not any(row[:2] == (name, line) and fragment in row[2] for row in rows):
            text += f"  not named: {name}:{line}: ...{fragment}...\n"
    planted = {row[:2] for row in expected}
    for row in rows:
        if row[:2] not in planted:
            text += f"  no fault of ours: {row[0]}:{row[1]}: {row[2]}\n"
    if code == 0:
        text += "  exit code 0\n"
    if text:
        for name, line, _ in expected:
            at = files[name].split(b"\n")[line - 1]
            text += f"  planted {name}:{line}: {at!r}\n"
        text += "".join(f"  said {row[0]}:{row[1]}: {row[2]}\n" for row in rows)
    return text


def user():
    """Somebody whom the server can become."""
    return "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def test_unharmed():
    """The file that faults are planted into is good."""
    build = server.Build()
    with tempfile.TemporaryDirectory(prefix="postern-") as directory:
        write(directory, {"postern.yaml": faults.BASE.format(user=user()).encode(),
                          "more.yaml": faults.MORE.encode()})
        code, rows = judge(build, directory)
        server.check(code == 0 and not rows, f"exit code {code}: {rows}")


def test_every_fault_is_named():
    build = server.Build()
    text, bad, planted = "", 0, 0
    with tempfile.TemporaryDirectory(prefix="postern-") as directory:
        for seed in range(FILES):
            files, expected, kinds = faults.plant(seed, user())
            planted += len(expected)
            write(directory, files)
            wrong = complaint(files, expected, *judge(build, directory))
            if wrong:
                bad += 1
                text += f"file {seed} ({', '.join(kinds)}):\n{wrong}"
    print(f"{FILES} files, {planted} faults")
    server.check(not bad, f"{bad} of {FILES} files:\n{text}")
