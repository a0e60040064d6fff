"""A plan that changes while it is in force, as its site file is edited."""

import json
import os
import signal
import subprocess

import harness
from site_test import CORES, SiteTest, Up


class ReplanTest(SiteTest):
    def devices(self):
        # Two alike. On a machine of one core they share it.
        share = 1 if len(CORES) > 1 else 0.5
        return f"""devices:
  - {{name: a, on: "cpu:{CORES[0]}", share: {share}, speed: 1, memory_gb: 4}}
  - {{name: b, on: "cpu:{CORES[-1]}", share: {share}, speed: 1, memory_gb: 4}}
"""

    def moves(self, up):
        placement = up.placement()
        return {s["name"]: s["moves"] for s in placement["streams"]} if placement else {}


class Reloading(ReplanTest):
    def reload(self, up, site, said, count=1):
        with open(up.path, "w") as file:
            file.write(site)
        up.process.send_signal(signal.SIGHUP)
        return up.wait_for(said, count)

    def test_only_what_changed_is_touched(self):
        app = self.app
        gate = app("gate", 2, 5, 200, 12, 0)
        head = self.devices() + "apps:" + gate
        first = head + app("yard", 1, 1, 1000, 30, 0) + app("door", 1, 2, 500, 10, 0)
        up = Up(self, first)
        up.wait_for(r"^\S+ \| ready", 4)
        pids = {s["name"]: s["pid"] for s in up.status()["streams"]}
        places = up.places()
        said = subprocess.run([os.environ["STAGGER"], "why", "gate-1", "--socket", up.socket], capture_output=True,
                              text=True, check=True).stdout
        self.assertRegex(" ".join(said.split()), "Its inferences run in [ab], which asks for no turns")

        # What cannot be changes nothing.
        self.reload(up, first + "  - oops", r"stagger: reload: nothing was changed")
        self.reload(up, head + app("yard", 1, 1, 1000, 1200, 0), r"stagger: reload: nothing was changed", 2)
        self.assertTrue(any("yard-1" in line and "reload" in line for line in up.lines), up.lines[-9:])
        self.reload(up, first.replace("memory_gb: 4", "memory_gb: 3"), "reload: devices: changed")
        self.reload(up, first + '  - {name: ghost, command: [no-such-program-here], fps: 1, executor: true, '
                    'profile: {body_ms: 1}}\n', r"stagger: reload: nothing was changed", 4)
        self.assertEqual({s["name"]: s["pid"] for s in up.status()["streams"]}, pids)
        self.assertEqual(up.places(), places)

        # One is removed, one is changed, one is new.
        self.reload(up, head + app("door", 1, 4, 250, 10, 0) + app("lane", 1, 3, 300, 10, 0),
                    "stagger: reload: 2 stopped, 2 started, the others run on")
        up.wait_for(r"^lane-1 \| ready")
        up.wait_for(r"^door-1 \| ready", 2)
        harness.wait_until(lambda: "yard-1" not in up.places(), "its place is free")
        now = {s["name"]: s["pid"] for s in up.status()["streams"]}
        self.assertEqual({n: p for n, p in now.items() if n.startswith("gate")},
                         {n: p for n, p in pids.items() if n.startswith("gate")})
        self.assertNotEqual(now["door-1"], pids["door-1"])
        self.assertEqual(set(up.places()), {"gate-1", "gate-2", "door-1", "lane-1"})
        self.assertEqual({s["name"]: s["fps"] for s in up.placement()["streams"]}["door-1"], 4)
        self.assertEqual(self.moves(up), dict.fromkeys(up.places(), 0))
        up.stop()


class WithoutPlan(ReplanTest):
    def test_apps_of_a_site_without_a_plan_come_and_go_too(self):
        def app(name, *words):
            return f"  - {{name: {name}, command: {json.dumps(['sh', '-c', *words])}}}\n"
        stays = app("stays", "echo here; exec sleep 60")
        up = Up(self, "apps:\n" + stays + app("goes", "echo here; exec sleep 60"))
        up.wait_for(r"\| here", 2)
        with open(up.path, "w") as file:
            file.write("apps:\n" + stays + app("comes", "echo here; exec sleep 60"))
        up.process.send_signal(signal.SIGHUP)
        up.wait_for(r"^comes \| here")
        up.wait_for(r"stagger: goes: stopped")
        self.assertEqual(len(up.wait_for(r"^stays \| here")), 1)
        up.stop()


class Auto(ReplanTest):
    def test_this_machines_cores_are_the_devices(self):
        apps = self.app("gate", 1, 5, 200, 12, 0)
        up = Up(self, "devices: auto\napps:" + apps)
        self.assertEqual(up.end(), 1)
        self.assertTrue(any("gate-1 has a profile, and nobody knows how fast" in line for line in up.lines))
        up = Up(self, "devices: auto\napps:" + apps.replace("memory_gb", "here: true, memory_gb"))
        up.wait_for(r"^gate-1 \| ready")
        self.assertEqual({d["name"] for d in up.placement()["devices"]}, {f"cpu:{core}" for core in CORES})
        up.stop()


if __name__ == "__main__":
    harness.main()
