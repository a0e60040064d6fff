"""A site on three virtual GPUs of two speeds: apps run where the plan says, and go on elsewhere when one is lost.

Runs itself inside `stagger vgpu`; the devices' own log says who ran where.
"""

import json
import os
import subprocess
import sys

import bodies
import harness
import site_test

STAGGER = os.environ["STAGGER"]
CAMERA = os.environ["CUDA_CAMERA"]
# NVML's numbers; CUDA counts the fast one first.
GPUS = {"slow": 0, "fast": 1, "third": 2}
LEARNED = 25  # inferences after which the agent knows the app
# A 6 ms body on a device of speed 1, far shorter than the profile below says: on a machine that has little time for
# them apps hear of a body's end late, and nobody is to move for that.
WORK = ["--pre", "0", "--body", "6", "--kernels", "10", "--post", "3", "--post-cpu", "0.4", "--post-steps", "2"]
WARM = ["--warmup", str(LEARNED)]  # at once, so that the agent knows the app soon
PROFILE = {"pre_ms": 1, "body_ms": 16, "post_ms": 5, "memory_gb": 1}
# Takes no notice of errors.
HEEDLESS = """
import ctypes, time
cuda = ctypes.CDLL("libcuda.so.1")
context, module, kernel = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
cuda.cuInit(0)
cuda.cuCtxCreate_v2(ctypes.byref(context), 0, 0)
cuda.cuModuleLoadData(ctypes.byref(module), b"kernel conv cost=4ms\\n")
cuda.cuModuleGetFunction(ctypes.byref(kernel), module, b"conv")
while True:
    cuda.cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, None, None, None)
    cuda.cuCtxSynchronize()
    time.sleep(0.05)
"""
# Has most of a GPU's memory.
GREEDY = """
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
context, memory = ctypes.c_void_p(), ctypes.c_uint64()
cuda.cuInit(0)
cuda.cuCtxCreate_v2(ctypes.byref(context), 0, 0)
sys.exit(cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(14 << 30)) or print("has it", flush=True) or input())
"""


def switch(option, name):
    subprocess.run([STAGGER, "vgpu", option, name], check=True)


class GpuSite(harness.ProcessTest):
    def tearDown(self):
        super().tearDown()
        for name in GPUS:
            switch("--restore", name)

    def here(self):
        return {"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"], "STAGGER_VGPU": os.environ["STAGGER_VGPU"]}

    def site(self, apps, more="", names=tuple(GPUS)):
        devices = "".join(f'  - {{name: {name}, on: "gpu:{GPUS[name]}", speed: {1 if name == "fast" else 0.5}, '
                          f"memory_gb: 4}}\n" for name in names)
        return f"policy: edf\nconcurrency: 1\nmps: \"off\"\n{more}devices:\n{devices}apps:\n" + "".join(apps)

    def app(self, name, copies, fps, deadline_ms, command=None, **profile):
        command = command or self.camera(fps)
        return (f"  - {{name: {name}, copies: {copies}, fps: {fps}, deadline_ms: {deadline_ms}, "
                f"command: {json.dumps(command)}, profile: {json.dumps({**PROFILE, **profile})}}}\n")

    def camera(self, fps, *more):
        return [CAMERA, *WORK, *more, "--fps", str(fps), "--seconds", "300"]

    def kernels(self, pid):
        return [op for op in LOG.so_far(pid) if bodies.is_body(op)]

    def inferences(self, pid):
        """From the begin of each body's first kernel to the end of its last."""
        kernels = self.kernels(pid)
        return [(kernels[i]["begin_ns"], kernels[i + 9]["end_ns"]) for i in range(0, len(kernels) - 9, 10)]

    def devices_of(self, pid):
        return {op["device"] for op in self.kernels(pid)}

    def pids(self, up, count, pattern):
        """Of the latest processes, once so many have been started."""
        return {m[1]: int(m[2]) for m in up.wait_for(rf"stagger: ({pattern}): started, pid (\d+)", count)}

    def overlap_ns(self, pids):
        """For how long two of these processes' learned bodies ran at once."""
        spans = sorted(span for pid in pids for span in self.inferences(pid)[LEARNED:])
        return sum(max(0, min(a[1], b[1]) - b[0]) for a, b in zip(spans, spans[1:])), len(spans)

    def test_seven_apps_a_gpu_that_is_lost_one_more_app_and_the_gpu_again(self):
        # With deadlines of 80 ms three belts are for the fast one; a device has memory for four apps.
        up = site_test.Up(self, self.site([self.app("belt", 3, 12, 80), self.app("gate", 4, 6, 150)],
                                          "on_move: restart\n"), **self.here())
        pids = self.pids(up, 7, r"\w+-\d")
        harness.wait_until(lambda: all(len(self.inferences(pid)) >= 45 for pid in pids.values()), "all are known")
        places = up.places()
        self.assertTrue(all(places[f"belt-{i}"] == ["fast"] for i in (1, 2, 3)), places)
        used = {on[0] for on in places.values()}
        self.assertEqual(len(used), 2, "as few devices as can be")
        victim, = used - {"fast"}
        refuge, = set(GPUS) - used
        # Each is on the device of its place and no other; bodies of one device follow each other, those of two
        # overlap.
        on = {name: [pid for app, pid in pids.items() if places[app] == [name]] for name in used}
        for name, here in on.items():
            self.assertEqual([self.devices_of(pid) for pid in here], [{GPUS[name]}] * len(here), name)
            overlap, count = self.overlap_ns(here)
            self.assertLess(overlap / 1e6, 0.02 * 6 * count, f"{name}: {overlap} ns of {count} bodies")
        both, _ = self.overlap_ns(pid for here in on.values() for pid in here)
        self.assertGreater(both, 10e6, "two devices at once")
        lengths = {name: min(end - begin for pid in here for begin, end in self.inferences(pid))
                   for name, here in on.items()}
        self.assertEqual({name: round(ns / 1e6) for name, ns in lengths.items()}, {"fast": 6, victim: 12})
        self.check_running(up, pids)

        switch("--lose", victim)
        moved = [name for name, device in places.items() if device == [victim]]
        then = harness.wait_until(
            lambda: (p := up.places()) and all(p[name] and p[name] != [victim] for name in moved) and p, "a new plan")
        placement = up.placement()
        self.assertFalse(next(d for d in placement["devices"] if d["name"] == victim)["here"])
        self.assertTrue(any(f"{victim} is gone: the driver says that the GPU is lost" in event["text"]
                            for event in placement["events"]), placement["events"])
        # They ended with their device, and are started where the plan has them now.
        up.wait_for(r"(\w+-\d): ended \(.*\), and has another place now", len(moved))
        again = self.pids(up, 7 + len(moved), r"\w+-\d")
        self.assertEqual({name for name in pids if again[name] != pids[name]}, set(moved))
        harness.wait_until(lambda: all(len(self.inferences(again[name])) >= 10 for name in moved), "they run")
        lost_ns = [event["at_ns"] for event in LOG.so_far(None) if event["event"] == "lost"][-1]
        for name in moved:
            self.assertEqual(self.devices_of(again[name]), {GPUS[then[name][0]]}, name)
            self.assertEqual(self.devices_of(pids[name]), {GPUS[victim]}, name)
            self.assertLessEqual(max(op["end_ns"] for op in self.kernels(pids[name])), lost_ns)
        why = self.why(up, moved[0])
        self.assertIn(f"The plan puts it on {then[moved[0]][0]}: moved from {victim}: {victim} is gone", why)

        # One more, beside them.
        extra = ["--name", "extra", "--fps", "6", "--deadline", "150", "--socket", up.socket]
        profile = ",".join(f"{key}={value}" for key, value in PROFILE.items())
        one_more = self.start([STAGGER, "run", *extra, "--profile", profile, "--", CAMERA, *WORK, "--fps", "6",
                               "--frames", "30"], name="extra", **self.here())
        self.assertEqual(one_more.end()[0], 0, self.said("extra"))
        self.assertRegex(self.said("extra"), rf"stagger: extra: on ({refuge}|fast): ")
        self.assertEqual(len(self.devices_of(one_more.pid)), 1)
        self.assertNotIn(GPUS[victim], self.devices_of(one_more.pid))
        refused = subprocess.run([STAGGER, "run", *extra, "--profile", "body_ms=16,memory_gb=3.5", "--", "true"],
                                 env=self.environment(), capture_output=True, text=True, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("'extra' was not started: extra does not fit anywhere: lower memory", refused.stderr)

        # It is back, and so are those that had to leave it: the site has them started again for that.
        switch("--restore", victim)
        up.wait_for(r"(\w+-\d): is stopped, to start at its new place: moved back: \w+ is here again", len(moved))
        home = self.pids(up, 7 + 2 * len(moved), r"\w+-\d")
        harness.wait_until(lambda: all(len(self.inferences(home[name])) >= 10 for name in moved), "they run")
        self.assertEqual(up.places(), places)
        for name in pids:
            self.assertEqual(self.devices_of(home[name]), {GPUS[places[name][0]]}, name)
        # Nobody else was touched.
        stayed = {name: pid for name, pid in pids.items() if name not in moved}
        self.assertGreaterEqual(len(stayed), 3)
        self.check_running(up, stayed)
        up.stop()

    def placed(self, up, name):
        return harness.wait_until(lambda: (places := up.places()) and name in places and places, f"{name} has a place")

    def check_running(self, up, pids):
        """These very processes infer, one after the other."""
        streams = lambda: {s["name"]: s for s in up.status()["streams"] if s["name"] in pids}
        before = streams()
        self.assertEqual({name: s["pid"] for name, s in before.items()}, pids)
        harness.wait_until(lambda: all(s["done"] > before[name]["done"] + 10 for name, s in streams().items()), "they run")

    def why(self, up, name):
        return " ".join(subprocess.run([STAGGER, "why", name, "--socket", up.socket], capture_output=True, text=True,
                                       check=True).stdout.split())

    def test_an_app_that_takes_no_notice_stays_where_it_had_to_go(self):
        up = site_test.Up(self, self.site([self.app("heedless", 1, 10, 100, [sys.executable, "-c", HEEDLESS])]),
                          **self.here())
        first = self.pids(up, 1, "heedless-1")["heedless-1"]
        place, = harness.wait_until(lambda: len(self.kernels(first)) > 5 and up.places().get("heedless-1"), "it runs")
        harness.wait_until(lambda: up.status()["streams"][0]["device"] == f"gpu:{GPUS[place]}", "it has had a turn")
        self.assertFalse(up.status()["streams"][0]["placement"]["at_next_start"])
        switch("--lose", place)
        # Where it will be is said while it still runs.
        stream = harness.wait_until(
            lambda: next((s for s in up.status()["streams"] if s["placement"]["at_next_start"]), None), "it is to move")
        self.assertEqual(stream["pid"], first)
        self.assertIn(f"It still runs on gpu:{GPUS[place]}; it will be there from its next start on.",
                      self.why(up, "heedless-1"))
        up.wait_for("heedless-1: its GPU context is broken: stopping it")
        up.wait_for("heedless-1: ended .*, and has another place now")
        again = self.pids(up, 2, "heedless-1")["heedless-1"]
        refuge, = up.places()["heedless-1"]
        self.assertNotEqual(refuge, place)
        harness.wait_until(lambda: self.devices_of(again) == {GPUS[refuge]}, "it runs there")
        # By default nothing is started again only to go home.
        switch("--restore", place)
        harness.wait_until(lambda: all(d["here"] for d in up.placement()["devices"]), "it is back")
        self.assertEqual(up.places()["heedless-1"], [refuge])
        stream = harness.wait_until(
            lambda: next((s for s in up.status()["streams"] if s["device"]), None), f"it has turns: {up.lines}")
        self.assertEqual((stream["pid"], stream["placement"]["at_next_start"]), (again, False), "\n".join(up.lines))
        up.stop()

    def drifting(self, more):
        """Two apps on the first of two slow GPUs: together 300 + 10 of 400 ms, as planned; in truth one takes 180."""
        return site_test.Up(
            self, self.site([self.app("grown", 1, 2.5, 400, self.camera(2.5, "--body", "90", *WARM), body_ms=5),
                             self.app("steady", 1, 2.5, 400, self.camera(2.5, "--body", "12", *WARM), body_ms=150)],
                            more, ("slow", "third")), **self.here())

    def test_an_app_whose_bodies_take_longer_than_planned_is_started_where_they_fit(self):
        up = self.drifting("on_move: restart\n")
        pids = self.pids(up, 2, r"\w+-\d")
        before = {m[1]: [m[2]] for m in up.wait_for(r"stagger: (grown-1|steady-1): on (\w+): ", 2)}
        self.assertEqual(before["grown-1"], before["steady-1"], "on as few devices as can be")
        up.wait_for(r"grown-1: is stopped, to start at its new place: moved from \w+: the body of grown-1 takes [\d.]+ ms "
                    r"there, not 10")
        again = self.pids(up, 3, r"\w+-\d")
        self.assertEqual(again["steady-1"], pids["steady-1"])
        after, = up.places()["grown-1"]
        self.assertNotEqual([after], before["grown-1"])
        harness.wait_until(lambda: len(self.inferences(again["grown-1"])) > 10, "it runs there")
        self.assertEqual(self.devices_of(again["grown-1"]), {GPUS[after]})
        [stream] = [s for s in up.placement()["streams"] if s["name"] == "grown-1"]
        self.assertGreaterEqual(stream["measured_body_ms"], 0.95 * 90, "as on a GPU of speed 1")
        self.assertEqual({s["name"]: s["moves"] for s in up.placement()["streams"]}, {"grown-1": 1, "steady-1": 0})
        up.stop()

    def test_apps_that_are_not_started_again_stay_and_the_device_says_so(self):
        up = self.drifting("")
        pids = self.pids(up, 2, r"\w+-\d")
        self.placed(up, "steady-1")
        overfull = harness.wait_until(
            lambda: next((d["overfull"] for d in up.placement()["devices"] if d["overfull"]), None), "it is seen")
        self.assertIn("the body of grown-1 takes", overfull)
        self.assertIn("nothing is moved: its apps are not started again for that (on_move: restart)", overfull)
        self.assertEqual(self.pids(up, 2, r"\w+-\d"), pids)
        up.stop()

    def test_memory_that_others_hold_is_not_given_out(self):
        up = site_test.Up(self, self.site([self.app("gate", 1, 10, 100)]), **self.here())
        self.pids(up, 1, r"gate-\d")
        place, = self.placed(up, "gate-1")["gate-1"]
        uuid = next(d["uuid"] for d in up.status()["devices"] if d["name"] == f"gpu:{GPUS[place]}")
        greedy = subprocess.Popen([sys.executable, "-c", GREEDY], env=self.environment(
            **self.here(), CUDA_VISIBLE_DEVICES=uuid), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(greedy.kill)
        self.assertEqual(greedy.stdout.readline(), "has it\n")
        measured = lambda: next(d["measured_memory_gb"] for d in up.placement()["devices"] if d["name"] == place)
        self.assertLess(harness.wait_until(measured, "it is seen"), 3)
        one_more = self.start([STAGGER, "run", "--name", "late", "--fps", "10", "--deadline", "100", "--socket", up.socket,
                               "--profile", "body_ms=8,memory_gb=2", "--", CAMERA, *WORK, "--frames", "3"],
                              name="late", **self.here())
        self.assertEqual(one_more.end()[0], 0, self.said("late"))
        self.assertRegex(self.said("late"), r"stagger: late: on \w+: ")
        self.assertNotIn(f"late: on {place}", self.said("late"))
        self.assertEqual(up.places()["gate-1"], [place], "it has what it needs")
        greedy.communicate("\n")
        harness.wait_until(lambda: measured() is None, "and so is its end")
        up.stop()


if __name__ == "__main__":
    LOG = bodies.on_virtual_gpu("--devices", "slow=t4:0.5,fast=t4,third=t4:0.5:8GiB")
    harness.main()
