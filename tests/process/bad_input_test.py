"""What users get wrong, or cannot help: one clear line each, and the app runs as without us."""

import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

import harness

STAGGER = os.environ["STAGGER"]
DRIVER = os.path.join(os.environ["VIRTUAL_DRIVER"], "libcuda.so.1")
CAMERA = os.environ["CUDA_CAMERA"]
NOBODY = 65534
LONG = ("run", 100, 300)  # long enough to attach to a daemon, or to find that there is none
QUICK = ["--pre", "0", "--body", "5", "--kernels", "5", "--post", "0", "--post-cpu", "0",
         "--frames", "20"]


def elf64(machine=62):
    """A static program that ends with exit code 7."""
    code = b"\xb8\x3c\x00\x00\x00\xbf\x07\x00\x00\x00\x0f\x05"
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, machine, 1, 0x400078, 64,
                         0, 0, 64, 56, 1, 0, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120 + len(code),
                                120 + len(code), 4096) + code


def elf32():
    code = b"\xb8\x01\x00\x00\x00\xbb\x07\x00\x00\x00\xcd\x80"
    header = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, 3, 1, 0x8048054, 52, 0, 0,
                         52, 32, 1, 0, 0, 0)
    return header + struct.pack("<IIIIIIII", 1, 0, 0x8048000, 0x8048000, 84 + len(code),
                                84 + len(code), 5, 4096) + code


class BadInput(harness.ProcessTest):
    def file(self, name, content=None, mode=0o755):
        path = os.path.join(self.folder, name)
        if content is not None:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
            os.chmod(path, mode)
        return path

    def run_it(self, command, ours=True, sock=None, **environment):
        """Exit code, output, and what was said on stderr."""
        command = [STAGGER, "run", "--socket", sock or self.file("none"), "--", *command] if ours \
            else command
        done = subprocess.run(command, env=self.environment(**environment), capture_output=True,
                              text=True, timeout=harness.DEADLINE_S)
        return done.returncode, done.stdout, done.stderr

    def lines(self, said, *parts):
        return [line for line in said.splitlines() if all(part in line for part in parts)]

    # ---- the driver ------------------------------------------------------------------------------

    def with_driver(self, folder):
        return {"LD_LIBRARY_PATH": folder + ":" + os.path.dirname(harness.RUNTIME)}

    def patched_driver(self, folder, *changes):
        with open(DRIVER, "rb") as file:
            library = file.read()
        for old, new in changes:
            self.assertIn(old, library)
            library = library.replace(old, new)
        return os.path.dirname(self.file(folder + "/libcuda.so.1", library))

    def test_a_driver_that_does_not_load(self):
        daemon = harness.Daemon(self)
        bare = self.run_it(self.linked("run", 5), ours=False)
        folders = [os.path.dirname(self.file("garbage/libcuda.so.1", b"not a library\n")),
                   self.patched_driver("lacking", (b"libc.so.6", b"libq.so.6"))]
        for folder in folders:
            code, out, said = self.run_it(self.linked("run", 5), sock=daemon.socket,
                                          **self.with_driver(folder))
            self.assertEqual((code, out), bare[:2])
            self.assertEqual(len(self.lines(said, "stagger: warning: GPU calls are not controlled: "
                                            "the CUDA driver does not load: ")), 1, said)
            self.assertEqual(len(self.lines(said, "stagger: ")), 1, said)
            # And a GPU app fails as it would.
            bare_camera = self.run_it([CAMERA, *QUICK], ours=False, **self.with_driver(folder))
            ours = self.run_it([CAMERA, *QUICK], sock=daemon.socket, **self.with_driver(folder))
            self.assertEqual(ours[:2], bare_camera[:2])
            self.assertIn(bare_camera[2], ours[2])
        self.assertEqual(self.run_it(["true"], sock=daemon.socket)[2], "", "no driver is no trouble")

    def test_an_older_driver(self):
        old = self.patched_driver("old", (b"cuDeviceGetUuid", b"xuDeviceGetUuid"),
                                  (b"cuLaunchKernelEx", b"xuLaunchKernelEx"))
        paths = f"LD_LIBRARY_PATH={old}:{os.path.dirname(harness.RUNTIME)}"
        daemon = harness.Daemon(self)
        look = ("import ctypes; library = ctypes.CDLL('libcuda.so.1'); "
                "print(hasattr(library, 'cuLaunchKernelEx'), hasattr(library, 'cuInit'))")

        def on_it(*command):
            done = subprocess.run([STAGGER, "vgpu", "--", "env", paths, *command],
                                  env=self.environment(), capture_output=True, text=True,
                                  timeout=harness.DEADLINE_S)
            return done.returncode, done.stdout, done.stderr

        run = [STAGGER, "run", "--socket", daemon.socket, "--"]
        self.assertEqual(on_it(*run, sys.executable, "-c", look)[1], "False True\n")
        code, out, said = on_it(*run, CAMERA, *QUICK)
        self.assertEqual(code, 0, said)
        self.assertEqual(out.split("checksum")[1][:20],
                         on_it(CAMERA, *QUICK)[1].split("checksum")[1][:20])
        self.assertEqual(len(self.lines(said, "stagger: running uncontrolled: the CUDA driver does "
                                        "not tell which GPU it is")), 1, said)

    # ---- agents ----------------------------------------------------------------------------------

    def assert_one_stream_took_turns(self, daemon):
        harness.wait_until(lambda: daemon.totals()["streams"] == 0, "its end")
        totals = daemon.fresh_status()["totals"]
        self.assertEqual(daemon.log().count(" joined: pid"), 1)
        self.assertTrue(0 < totals["done"] <= 100 and totals["expired"] == 0, totals)

    def test_two_agents_of_two_installations(self):
        daemon = harness.Daemon(self, "--concurrency", "1", "--lease-floor", "60000")
        other = os.path.join(self.folder, "other", "libstagger-agent.so")
        os.makedirs(os.path.dirname(other))
        shutil.copy(harness.AGENT, other)
        bare = self.start(self.linked(*LONG), name="bare").end()
        app = self.start(self.linked(*LONG), daemon.socket, LD_PRELOAD=f"{harness.AGENT}:{other}")
        self.assertEqual(app.end(), bare)
        said = self.lines(self.said(), "stagger:")
        self.assertEqual(len(said), 1, said)
        self.assertIn("several agents are loaded, only the first one works: ", said[0])
        self.assert_one_stream_took_turns(daemon)

    def test_run_within_run_preloads_once(self):
        daemon = harness.Daemon(self, "--lease-floor", "60000")
        inner = [STAGGER, "run", "--socket", daemon.socket, "--", "sh", "-c", "echo $LD_PRELOAD"]
        code, out, said = self.run_it(inner, sock=daemon.socket)
        self.assertEqual((code, said), (0, ""))
        self.assertEqual(out.count("libstagger-agent.so"), 1, out)
        code, out, said = self.run_it([STAGGER, "run", "--socket", daemon.socket, "--",
                                       *self.linked(*LONG)], sock=daemon.socket)
        self.assertEqual((code, out), self.run_it(self.linked(*LONG), ours=False)[:2])
        self.assertEqual(said, "")
        self.assert_one_stream_took_turns(daemon)

    def test_an_app_keeps_its_own_preload(self):
        daemon = harness.Daemon(self, "--lease-floor", "60000")
        code, out, said = self.run_it(["sh", "-c", "echo $LD_PRELOAD"], sock=daemon.socket,
                                      LD_PRELOAD="libm.so.6")
        self.assertEqual((code, said), (0, ""))
        self.assertTrue(out.endswith("libstagger-agent.so:libm.so.6\n"), out)
        missing = {"LD_PRELOAD": self.file("gone.so")}
        bare = self.run_it(self.linked(*LONG), ours=False, **missing)
        code, out, said = self.run_it(self.linked(*LONG), sock=daemon.socket, **missing)
        self.assertEqual((code, out), bare[:2])
        self.assertIn("gone.so", bare[2])
        self.assertNotIn("stagger: ", said, "the linker says it itself")
        self.assert_one_stream_took_turns(daemon)

    # ---- programs that cannot be preloaded ---------------------------------------------------------

    def check_uncontrolled(self, daemon, command, code, why):
        bare = self.run_it(command, ours=False)
        ours = self.run_it(command, sock=daemon.socket)
        self.assertEqual(bare[0], code)
        self.assertEqual(ours[:2], bare[:2])
        self.assertEqual(len(ours[2].splitlines()), 1 + len(bare[2].splitlines()), ours[2])
        self.assertEqual(len(self.lines(ours[2], f"warning: '{command[0]}' runs uncontrolled: ",
                                        why)), 1, ours[2])

    def test_static_programs_and_scripts_of_theirs(self):
        daemon = harness.Daemon(self)
        static = self.file("static", elf64())
        self.check_uncontrolled(daemon, [static], 7, "it is linked statically")
        script = self.file("script", f"#!{static}\n".encode())
        self.check_uncontrolled(daemon, [script], 7, f"of its interpreter {static}: it is linked")
        # The linker called as a program loads what it runs as always.
        linker = "/lib64/ld-linux-x86-64.so.2"
        self.assertEqual(self.run_it([linker, "/bin/true"], sock=daemon.socket), (0, "", ""))
        self.assertEqual(self.run_it([self.file("plain", b"#!/usr/bin/env sh\nexit 3\n")],
                                     sock=daemon.socket), (3, "", ""))

    def test_a_32_bit_program(self):
        program = self.file("old", elf32())
        try:
            subprocess.run([program], check=False)
        except OSError as error:
            self.skipTest(f"this kernel runs none: {error}")
        self.check_uncontrolled(harness.Daemon(self), [program], 7, "it is a 32-bit program")

    @unittest.skipIf(os.getuid() != 0, "only root can make a program that is somebody else's")
    def test_a_setuid_program(self):
        daemon = harness.Daemon(self)
        os.chmod(self.folder, 0o755)
        program = self.file("id")
        shutil.copy("/usr/bin/id", program)
        os.chown(program, NOBODY, NOBODY)
        for mode, why in ((0o4755, "it is setuid"), (0o2755, "it is setgid")):
            os.chmod(program, mode)
            bare = self.run_it([program], ours=False)
            ours = self.run_it([program], sock=daemon.socket)
            self.assertEqual(ours[:2], bare[:2])
            self.assertEqual(len(self.lines(ours[2], why)), 1, ours[2])
        os.chmod(program, 0o755)
        self.assertEqual(self.run_it([program], sock=daemon.socket)[2], "")

    # ---- no socket -----------------------------------------------------------------------------------

    def test_a_socket_that_is_missing_or_stale_and_then_is_there(self):
        path = self.file("s")
        for stale in (False, True):
            if stale:
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
                    left.bind(path)
            name = f"app-{stale}"
            app = self.start(self.linked("run", 10**6, 32), path, name)
            harness.wait_until(lambda: app.line() and "running uncontrolled" in self.said(name),
                               "the line")
            daemon = harness.Daemon(self)
            harness.wait_until(lambda: app.line() and (daemon.stream(name) or {"granted": 0})["granted"],
                               "turns")
            self.assertEqual(self.said(name).count("stagger:"), 1, self.said(name))
            app.kill()
            daemon.stop()

    @unittest.skipIf(os.getuid() != 0, "only root can become somebody else")
    def test_a_socket_that_may_not_be_opened(self):
        os.chmod(self.folder, 0o755)
        closed = self.file("closed")
        os.mkdir(closed, 0o700)
        program = self.linked(*LONG)
        app = subprocess.run(["setpriv", "--reuid", str(NOBODY), "--clear-groups",
                              *program],
                             env=self.environment(os.path.join(closed, "s")), capture_output=True,
                             text=True, timeout=harness.DEADLINE_S)
        bare = self.run_it(program, ours=False)
        self.assertEqual((app.returncode, app.stdout), bare[:2], app.stderr)
        self.assertEqual(len(self.lines(app.stderr, "stagger: running uncontrolled: ")), 1, app.stderr)
        self.assertIn("may not use", app.stderr)


if __name__ == "__main__":
    harness.main()
