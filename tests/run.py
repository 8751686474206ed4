#!/usr/bin/env python3
"""Run the scene tests, and `make check` with --unit; ends with `N passed, N failed`.

    tests/run.py [--build DIR] [--unit] [--jobs N] [--limit S] [PATTERN...]
    tests/run.py [--build DIR] --only-unit [--jobs N] [PROGRAM...]

A scene is a function test_* in tests/{talk,reload,clients,config}/*.py. Each runs in a process of
its own with a time limit (its attribute `limit`, seconds, else --limit); one with the attribute
`alone` runs while no other does. PATTERNs choose by substring of FILE:FUNCTION.
"""
import argparse
import ast
import concurrent.futures
import importlib.util
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
FOLDERS = ("config", "talk", "reload", "clients")
SKIPPED = 77


class Scene:
    def __init__(self, path, name, limit, alone):
        self.path, self.name, self.limit, self.alone = path, name, limit, alone
        self.title = f"{path.relative_to(HERE)}:{name}"


def scenes():
    """Found by reading, not by running: a broken file is one failing scene, not the end of all."""
    found = []
    for folder in FOLDERS:
        for path in sorted((HERE / folder).glob("*.py")):
            try:
                tree = ast.parse(path.read_text())
            except SyntaxError:
                found.append(Scene(path, "<cannot be read>", None, False))
                continue
            marks = _attributes(tree)
            for node in tree.body:
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    mine = marks.get(node.name, {})
                    found.append(Scene(path, node.name, mine.get("limit"), mine.get("alone", False)))
    return found


def _attributes(tree):
    """`test_x.limit = 300` at top level -> {"test_x": {"limit": 300}}."""
    marks = {}
    for node in tree.body:
        if (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute)
                and isinstance(node.targets[0].value, ast.Name)
                and isinstance(node.value, ast.Constant)):
            target = node.targets[0]
            marks.setdefault(target.value.id, {})[target.attr] = node.value.value
    return marks


def play(path, name):
    """In the scene's own process: run one function."""
    sys.path[:0] = [str(HERE / "lib"), str(pathlib.Path(path).parent)]
    import server
    spec = importlib.util.spec_from_file_location("scene", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        getattr(module, name)()
    except server.Skip as why:
        print(why)
        return SKIPPED
    except server.Failure as failure:
        frames = [frame for frame in traceback.extract_tb(failure.__traceback__)
                  if frame.filename == str(path)]
        where = f"{path}:{frames[-1].lineno}" if frames else str(path)
        print(f"{where}: {failure}", file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def run_scene(scene, build, default_limit):
    """(status, seconds, output) with status passed, failed or skipped."""
    limit = (scene.limit or default_limit) * float(os.environ.get("POSTERN_SLOW", "1"))
    began = time.monotonic()
    environment = {**os.environ, "POSTERN_BUILD": str(build), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "run.py"), "--play", str(scene.path), scene.name],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT,
        env=environment, start_new_session=True)
    try:
        output = process.communicate(timeout=limit)[0].decode(errors="replace")
        status = {0: "passed", SKIPPED: "skipped"}.get(process.returncode, "failed")
    except subprocess.TimeoutExpired:
        # SIGINT lets the scene's `with Server()` clean up; what ignores it is killed
        process.send_signal(signal.SIGINT)
        try:
            output = process.communicate(timeout=20)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0].decode(errors="replace")
        output += f"time limit of {limit:g} s exceeded\n"
        status = "failed"
    return status, time.monotonic() - began, output


class Tally:
    """Counts and tells, a line per test; what a failed one printed follows it."""

    def __init__(self):
        self.count = {"passed": 0, "failed": 0, "skipped": 0}
        self.failures = []

    def add(self, title, status, seconds, output):
        self.count[status] += 1
        note = f" ({output.strip().splitlines()[-1]})" if status == "skipped" and output.strip() else ""
        spent = f"{seconds:6.1f} s" if seconds is not None else " " * 8
        print(f"{status:8}{spent}  {title}{note}", flush=True)
        if status == "failed":
            self.failures.append(title)
            print("".join(f"    {line}\n" for line in output.rstrip().splitlines()), flush=True)

    def end(self):
        if self.failures:
            print("failed: " + ", ".join(self.failures))
        if self.count["skipped"]:
            print(f"{self.count['skipped']} skipped")
        print(f"{self.count['passed']} passed, {self.count['failed']} failed", flush=True)
        return 1 if self.count["failed"] else 0


def run_unit(build, jobs, programs, tally):
    """`make check`, or of it these programs and what they need: each counts as a test."""
    began = time.monotonic()
    targets = ["check"]
    if programs:
        targets = ["check-TESTS", "check_PROGRAMS=", "check_LIBRARIES=", "check_LTLIBRARIES=",
                   "TESTS=" + " ".join(programs)]
    make = subprocess.run(["make", "-k", "-s", f"-j{jobs}", *targets], cwd=build, text=True,
                          errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    # automake counts a program that several rooms list as often as it is listed
    results = dict(map(reversed, re.findall(r"^(PASS|FAIL|ERROR|SKIP): (\S+)$", make.stdout, re.M)))
    for name, word in sorted(results.items()):
        status = {"PASS": "passed", "SKIP": "skipped"}.get(word, "failed")
        log = build / f"{name}.log"
        text = log.read_text(errors="replace") if status == "failed" and log.exists() else ""
        tally.add(name, status, None, text[-6000:])
    if make.returncode != 0 and not any(word in ("FAIL", "ERROR") for word in results.values()):
        words = [line for line in make.stdout.splitlines()
                 if not re.match(r" +(CC|CCLD|GEN|AR) ", line)]
        tally.add("make check", "failed", time.monotonic() - began, "\n".join(words)[-6000:])


def run_all(chosen, options, tally):
    def one(scene):
        if scene.name.startswith("<"):
            return scene, ("failed", 0.0, "syntax error\n")
        return scene, run_scene(scene, options.build, options.limit)

    # those that may take long begin first, so that none of them is waited for at the end
    chosen = sorted(chosen, key=lambda scene: -(scene.limit or options.limit))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        pending = [pool.submit(one, scene) for scene in chosen if not scene.alone]
        for future in concurrent.futures.as_completed(pending):
            scene, result = future.result()
            tally.add(scene.title, *result)
    for scene in chosen:
        if scene.alone:
            tally.add(scene.title, *one(scene)[1])


def main():
    if sys.argv[1:2] == ["--play"]:
        return play(sys.argv[2], sys.argv[3])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path,
                        default=os.environ.get("POSTERN_BUILD") or ROOT / "build")
    parser.add_argument("--unit", action="store_true", help="run make check first")
    parser.add_argument("--only-unit", action="store_true", help="run make check and no scene")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds per scene")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("pattern", nargs="*")
    options = parser.parse_args()
    options.build = pathlib.Path(options.build).resolve()
    chosen = [scene for scene in scenes()
              if not options.pattern or any(word in scene.title for word in options.pattern)]
    if options.list:
        print("\n".join(scene.title for scene in chosen))
        return 0
    tally = Tally()
    if options.unit or options.only_unit:
        run_unit(options.build, options.jobs, options.pattern if options.only_unit else [], tally)
    if not options.only_unit:
        run_all(chosen, options, tally)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
