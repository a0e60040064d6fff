"""What `stagger profile` and `stagger doctor` say of real apps, on the virtual GPU and on the CPU.

Runs itself inside `stagger vgpu`.
"""

import json
import os
import subprocess
import sys

import harness

STAGGER = os.environ["STAGGER"]
CAMERA = os.environ["CUDA_CAMERA"]
QUICK = ["--pre", "0", "--body", "10", "--kernels", "20", "--post", "4", "--post-cpu", "0.4",
         "--post-steps", "2"]
LONG_BODY = [*QUICK, "--body", "100"]
LIMIT_S = 300


class Look(harness.ProcessTest):
    def run_stagger(self, *arguments, **more):
        """(exit code, what it said on stdout, what it said on stderr)."""
        environment = self.environment()
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"] + ":" + \
            environment["LD_LIBRARY_PATH"]
        environment["STAGGER_VGPU"] = os.environ["STAGGER_VGPU"]
        for name in ("STAGGERD", "STAGGER_AGENT", "STAGGER_CUDA_AGENT"):
            environment.pop(name, None)
        environment.update(more)
        done = subprocess.run([STAGGER, *map(str, arguments)], env=environment, check=False,
                              capture_output=True, timeout=LIMIT_S, text=True,
                              input="\n\n\n\n")
        return done.returncode, done.stdout, done.stderr

    def json_of(self, verb, *arguments, **more):
        code, out, err = self.run_stagger(verb, "--json", *arguments, **more)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    # ---- profile -------------------------------------------------------------------------------

    def check_phases(self, process, least):
        """Of an app of which nearly all is its body, as LONG_BODY says."""
        self.assertEqual(process["framework"], "cuda")
        self.assertGreater(process["inferences"], least)
        # A busy machine makes phases look longer, never shorter.
        self.assertGreater(process["body_ms"]["mean"], 0.95 * 100, process)
        self.assertGreater(process["post_ms"]["mean"], 0.75 * 4, process)
        pre, body, post = (process[phase + "_ratio"] for phase in ("pre", "body", "post"))
        self.assertAlmostEqual(pre + body + post, 1, places=3)
        self.assertGreater(body, 0.5)

    def test_profile_of_an_app_that_is_stopped(self):
        # It has no time to write anything at its end: it is killed by SIGTERM.
        profile = self.json_of("profile", "--seconds", 10, "--", CAMERA, *LONG_BODY, "--frames", 100000)
        self.assertIn("was ended by us", profile["ended"])
        self.check_phases(profile["processes"][0], 20)
        self.assertEqual(profile["processes"][0]["detector"]["state"], "sure")

    def test_profile_of_an_app_that_crashes(self):
        profile = self.json_of("profile", "--", CAMERA, *LONG_BODY, "--shape=crash", "--at", 40)
        self.assertIn("killed by signal 11", profile["ended"])
        self.check_phases(profile["processes"][0], 20)

    def test_profile_reads_well(self):
        code, out, err = self.run_stagger("profile", "--", CAMERA, *QUICK, "--frames", 60)
        self.assertEqual(code, 0, err)
        self.assertIn("body", out)
        self.assertRegex(out, "█+░+\n0 .* ms\n")
        self.assertIn("bodies: sure", out)
        self.assertIn('"checksum"', err, "what the app prints does not mix with the profile")
        self.assertNotIn('"checksum"', out)

    def test_profile_of_onnx_runtime(self):
        profile = self.json_of("profile", "--", *self.linked("run", 60, 200))
        process = profile["processes"][0]
        self.assertEqual((process["framework"], process["inferences"]), ("onnxruntime", 58))
        self.assertTrue(process["whole_call"])
        self.assertEqual(process["body_ratio"], 1)
        self.assertGreater(process["body_ms"]["mean"], 0)

    def test_profile_of_what_does_not_infer(self):
        code, out, err = self.run_stagger("profile", "--", "true")
        self.assertEqual((code, "no inference was seen" in err), (1, True), err)
        code, out, err = self.run_stagger("profile", "--", "nonexistent-program")
        self.assertEqual((code, out), (1, ""))
        self.assertEqual(self.run_stagger("profile")[0], 2)

    # ---- profile --overlap ---------------------------------------------------------------------

    def sweep(self):
        return self.json_of("profile", "--overlap", "--rounds", 5, "--", CAMERA, "--pre", 0,
                            "--kernels", 20, "--post-cpu", 0, "--post-steps", 4, "--frames", 100000)

    def test_overlap_measures_the_virtual_gpu(self):
        # What figures it finds in what was measured: tests/cli/overlap_sweep_test.cc. Here, that they are measured
        # where they should be: no busy machine makes bodies shorter than the virtual GPU's.
        found = self.json_of("profile", "--overlap", "--rounds", 5, "--", CAMERA, "--pre", 0,
                             "--kernels", 20, "--post-cpu", 0, "--post-steps", 4, "--frames", 100000)
        self.assertGreater(found["model"]["body_ms"], 0.95 * 38.31, found)
        self.assertGreater(found["model"]["post_ms"], 0.95 * 35.42, found)
        self.assertEqual([point["offset_ms"] for point in found["points"]], [5 * i for i in range(21)])
        self.assertEqual({point["probes"] for point in found["points"]}, {5})
        self.assertIn("Virtual T4", found["device"])
        self.assertGreater(found["slowdown"], 1, "bodies that meet slow each other")

    def test_overlap_says_why_it_cannot(self):
        code, out, err = self.run_stagger("profile", "--overlap", "--", "false")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("a copy of 'false' ended (exit code 1)", err)

    # ---- doctor --------------------------------------------------------------------------------

    def handled(self, process):
        return {call["name"]: (call["handled"], call["count"]) for call in process["calls"]}

    def test_doctor_of_a_controlled_app(self):
        seen = self.json_of("doctor", "--", CAMERA, *QUICK, "--frames", 60)
        self.assertEqual((seen["verdict"], seen["reasons"]), ("controlled", []), seen)
        process = seen["processes"][0]
        calls = self.handled(process)
        self.assertEqual(calls["cuLaunchKernel"], ("controlled", 60 * 22))
        self.assertEqual(calls["cuMemcpyHtoDAsync_v2"], ("seen", 60))
        self.assertEqual(calls["cuInit"], ("passed through", None))
        self.assertGreater(process["cuda"]["turns"], 30)

    def test_doctor_of_graphs_and_of_a_program_in_the_place_of_another(self):
        seen = self.json_of("doctor", "--", CAMERA, *QUICK, "--shape", "graph", "--frames", 40)
        self.assertEqual(self.handled(seen["processes"][0])["cuGraphLaunch"], ("controlled", 40))
        seen = self.json_of("doctor", "--", CAMERA, *QUICK, "--shape", "exec", "--at", 20, "--frames",
                            40)
        self.assertEqual(seen["verdict"], "controlled", seen)
        self.assertEqual(len(seen["processes"]), 2)
        self.assertEqual(len({process["pid"] for process in seen["processes"]}), 1)

    def test_doctor_of_onnx_runtime(self):
        # Enough to go on when the agent has reached the daemon: they are tiny.
        seen = self.json_of("doctor", "--", *self.linked("kinds", 5000))
        self.assertEqual(seen["verdict"], "controlled", seen)
        calls = self.handled(seen["processes"][0])
        self.assertEqual(calls, {name: ("controlled", 5000)
                                 for name in ("Run", "RunWithBinding", "RunAsync")})
        self.assertTrue(any("ONNX Runtime 1." in text for text in seen["processes"][0]["loaded"]))

    def test_doctor_finds_a_child_with_a_clean_environment(self):
        child = f"env -i LD_LIBRARY_PATH=$LD_LIBRARY_PATH STAGGER_VGPU=$STAGGER_VGPU {CAMERA} " + \
            " ".join(QUICK) + " --frames 120"
        seen = self.json_of("doctor", "--", "sh", "-c", child + " & " + child.split(" ", 4)[4] +
                            " ; wait")
        self.assertEqual(seen["verdict"], "partly controlled", seen)
        self.assertEqual(len(seen["reasons"]), 1, seen["reasons"])
        self.assertIn("cuda-camera: the agent is not in it: its environment does not name the agent",
                      seen["reasons"][0])

    def test_doctor_finds_a_second_copy_of_the_driver(self):
        program = """
import ctypes, time
first = ctypes.CDLL("libcuda.so.1")
libc = ctypes.CDLL(None)
libc.dlmopen.restype = ctypes.c_void_p
assert libc.dlmopen(-1, b"libcuda.so.1", 2)
time.sleep(3)
"""
        seen = self.json_of("doctor", "--", "/usr/bin/python3", "-c", program)
        self.assertEqual(seen["verdict"], "not controlled")
        self.assertIn("the CUDA driver is mapped 2 times", seen["reasons"][0])

    def test_doctor_of_a_static_program(self):
        code, out, err = self.run_stagger("doctor", "--", "/sbin/ldconfig", "--version")
        self.assertEqual(code, 0, err)
        last = out.strip().splitlines()[-1]
        self.assertTrue(last.startswith("not controlled: ldconfig: "), last)
        self.assertIn("linked statically", last)
        self.assertIn("linked statically", err, "said before it starts")

    def test_doctor_without_a_driver(self):
        code, out, _ = self.run_stagger("doctor", "--", "true", LD_LIBRARY_PATH="")
        self.assertEqual(code, 0)
        self.assertIn("no CUDA driver is found here", out)
        self.assertIn("not controlled: no inference was seen", out)

    def test_doctor_of_what_cannot_be_run(self):
        self.assertEqual(self.run_stagger("doctor", "--", "nonexistent-program")[0], 1)
        self.assertEqual(self.run_stagger("doctor")[0], 2)


if __name__ == "__main__":
    if "STAGGER_VGPU" not in os.environ:
        sys.exit(subprocess.run([STAGGER, "vgpu", "--", sys.executable, "-B", *sys.argv],
                                check=False).returncode)
    harness.main()
