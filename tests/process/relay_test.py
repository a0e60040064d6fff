"""stagger relay: real videos whose frames say their number, real clients.

What is asserted are numbers and the stream's own times, which do not depend on the machine's load.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.parse
import wave

from harness import CACHE, DEADLINE_S, ProcessTest, main, wait_until

STAGGER = os.environ["STAGGER"]
NUMBERED = os.environ.get("NUMBERED_VIDEO", "")
CLIP_FRAMES, CLIP_FPS = 45, 30


class RelayTest(ProcessTest):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="stagger-relay-")
        cls.clip = os.path.join(cls.shared, "clip one.mov")  # a name that a URI must escape
        subprocess.run([NUMBERED, "write", cls.clip, str(CLIP_FRAMES), str(CLIP_FPS)], check=True,
                       timeout=DEADLINE_S)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.shared, ignore_errors=True)

    def relay(self, source, fps, to, *options, name="relay"):
        """A running relay; its URL is the first line of its output."""
        app = self.start([STAGGER, "relay", source, "--fps", str(fps), "--to", to, *options],
                         name=name)
        app.url = app.line()
        self.assertIsNotNone(app.url, self.said(name))
        return app

    def json_relay(self, source, fps, to, *options, name="relay"):
        """One that prints only its counts; the URL comes on stderr."""
        app = self.start([STAGGER, "relay", source, "--fps", str(fps), "--to", to, "--json",
                          *options], name=name)
        app.url = wait_until(lambda: next((line for line in self.said(name).splitlines()
                                           if line.startswith(("rtsp://", "http://"))), None),
                             "the relay's URL")
        return app

    def stop(self, app, with_signal=signal.SIGTERM):
        app.process.send_signal(with_signal)
        lines = []
        while (line := app.line()) is not None:
            lines.append(line)
        self.assertEqual(app.process.wait(DEADLINE_S), 0)
        return lines

    def counts(self, app, with_signal=signal.SIGTERM):
        lines = self.stop(app, with_signal)
        self.assertEqual(len(lines), 1, lines)
        counts = json.loads(lines[0])
        self.assertEqual(counts["frames_in"], counts["frames_out"] + counts["skipped"])
        return counts

    def reader(self, url, frames, name="reader"):
        return self.start([NUMBERED, "read", url, str(frames)], name=name)

    def frames(self, reader, count=None):
        """(number, ms) of the next `count` frames, or of all to the end."""
        read = []
        while count is None or len(read) < count:
            line = reader.line()
            if line is None:
                break
            number, ms = line.split()
            read.append((int(number), float(ms)))
        if count is not None:
            self.assertEqual(len(read), count, self.said("reader"))
        return read

    def assert_steps(self, numbers, allowed):
        """Each frame is so many after the one before it; the clip begins again at its end."""
        steps = [(b - a) % CLIP_FRAMES for a, b in zip(numbers, numbers[1:])]
        self.assertTrue(steps)
        self.assertLessEqual(set(steps), set(allowed), numbers)

    def test_a_file_to_rtsp_is_exact_for_all_clients_and_across_the_loop(self):
        relay = self.json_relay(self.clip, 6, "rtsp://127.0.0.1:0/gate", "--loop")
        self.assertRegex(relay.url, r"^rtsp://127\.0\.0\.1:[1-9]\d*/gate$")
        first = self.reader(relay.url, 12)
        begun = self.frames(first, 2)
        second = self.reader(relay.url, 6)
        one = begun + self.frames(first, 10)
        two = self.frames(second, 6)
        # 30 fps to 6: each fifth frame, a sixth of a second apart by the stream's own clock, loop or not.
        self.assert_steps([number for number, _ in one], [5])
        self.assertLess(one[-1][0], one[0][0] + 11 * 5, "the clip began again")
        for n, (_, ms) in enumerate(one):
            self.assertAlmostEqual(ms, n * 1000 / 6, delta=1)
        # The second client got the same pictures, from its first one on.
        numbers = [number for number, _ in one]
        self.assert_steps([number for number, _ in two], [5])
        self.assertLessEqual({number for number, _ in two} - set(numbers), set(
            (numbers[-1] + 5 * k) % CLIP_FRAMES for k in range(1, 7)))
        counts = self.counts(relay, signal.SIGINT)
        self.assertEqual(counts["clients"], 2)
        self.assertAlmostEqual(counts["fps_in"], 30, delta=0.1)
        self.assertAlmostEqual(counts["fps_out"], 6, delta=0.4)
        self.assertEqual(counts["fps_required"], 6)
        self.assertEqual(counts["source"], self.clip)
        self.assertEqual(counts["url"], relay.url)
        self.assertLessEqual(abs(counts["frames_in"] - 5 * counts["frames_out"]), 5)

    def test_mjpeg_is_as_even_as_the_source_allows(self):
        relay = self.json_relay(self.clip, 8, "http://:0/gate.mjpg", "--loop", "--quality", "70")
        # 30 to 8 is 3.75: the nearest frames are 3 or 4 apart (nobody leaves a fast client out).
        read = self.frames(self.reader(relay.url, 13), 13)
        self.assert_steps([number for number, _ in read], [3, 4])
        self.assertEqual(sum((b[0] - a[0]) % CLIP_FRAMES for a, b in zip(read, read[1:])), 12 * 3.75)
        place = urllib.parse.urlparse(relay.url)
        for path, host, status in (("/other", place.netloc, 404),
                                   ("/gate.mjpg", "evil.example:80", 403)):
            connection = http.client.HTTPConnection(place.netloc, timeout=DEADLINE_S)
            connection.request("GET", path, headers={"Host": host})
            self.assertEqual(connection.getresponse().status, status)
            connection.close()
        self.assertEqual(self.counts(relay)["clients"], 1)

    def test_a_file_ends_at_its_end_and_so_do_its_clients(self):
        for to in ("rtsp://127.0.0.1:0/x", "http://127.0.0.1:0/x"):
            relay = self.relay(self.clip, 30, to)
            read = self.frames(self.reader(relay.url, 1000))
            self.assertGreater(len(read), 10)
            self.assert_steps([number for number, _ in read], [1])
            self.assertGreaterEqual(read[-1][0], CLIP_FRAMES - 2)
            self.assertIsNone(relay.line())
            self.assertEqual(relay.process.wait(DEADLINE_S), 0)
        self.assertIn(f"{CLIP_FRAMES} frames in (30.00 fps), {CLIP_FRAMES} out", self.said("relay"))

    def test_a_slower_source_passes_as_it_is_and_that_is_said_once(self):
        relay = self.json_relay(self.clip, 100, "http://:0/x", "--loop")
        self.assert_steps([n for n, _ in self.frames(self.reader(relay.url, 10), 10)], [1])
        wait_until(lambda: "passed as it is" in self.said("relay"), "the notice")
        counts = self.counts(relay)
        self.assertEqual(counts["skipped"], 0)
        self.assertEqual(self.said("relay").count("gives 30.00 fps, less than the 100 asked for"), 1)

    def test_a_camera_that_goes_is_called_until_it_is_back(self):
        for scheme in ("rtsp", "http"):
            with self.subTest(scheme):
                self.come_back(scheme)

    def come_back(self, scheme):
        name = f"relay-{scheme}"
        camera = self.relay(self.clip, 15, f"{scheme}://127.0.0.1:0/camera", "--loop", name="camera")
        relay = self.json_relay(camera.url, 5, "rtsp://127.0.0.1:0/x", name=name)
        client = self.reader(relay.url, 1000)
        before = self.frames(client, 5)
        # Each third frame of 15 fps is each sixth of the clip's; one more or less by the network's
        # jitter.
        self.assert_steps([number for number, _ in before], [4, 6, 8])
        self.stop(camera)
        wait_until(lambda: "trying again" in self.said(name), "the loss")
        again = self.relay(self.clip, 15, camera.url, "--loop", name="camera")
        self.assertEqual(again.url, camera.url)
        # The same client goes on.
        after = self.frames(client, 4)
        self.assertGreater(after[0][1], before[-1][1])
        wait_until(lambda: "back after" in self.said(name), "the return")
        counts = self.counts(relay)
        self.assertEqual(counts["reconnects"], 1)
        said = self.said(name)
        self.assertEqual((said.count("trying again"), said.count("back after")), (1, 1), said)
        self.stop(again)

    def test_who_does_not_read_slows_nobody(self):
        rtsp = self.json_relay(self.clip, 30, "rtsp://127.0.0.1:0/x", "--loop", "--bitrate", "20000",
                               name="rtsp")
        mjpeg = self.json_relay(self.clip, 30, "http://127.0.0.1:0/x", "--loop", "--quality", "100",
                                name="mjpeg")
        stuck = [play_and_stop_reading(rtsp.url), get_and_stop_reading(mjpeg.url)]
        for connection in stuck:
            wait_until(lambda: waits_to_be_read(connection), "a relay that cannot send")
        readers = [self.reader(relay.url, 45) for relay in (rtsp, mjpeg)]
        for relay, reader in zip((rtsp, mjpeg), readers):
            self.assert_steps([number for number, _ in self.frames(reader, 45)], [1])
        for relay, connection in zip((rtsp, mjpeg), stuck):
            self.assertEqual(self.counts(relay)["clients"], 2)
            connection.close()

    def test_an_app_reads_it_with_opencv(self):
        camera = os.path.join(CACHE, "video/vtest.avi")
        relay = self.json_relay(camera, 8, "rtsp://127.0.0.1:0/x", "--loop")
        app = self.start([os.environ["CAMERA_DETECTOR"], "--source", relay.url, "--frames", "5",
                          "--quiet", "--warmup", "1"], name="detector",
                         OPENCV_FFMPEG_DEBUG="1", OPENCV_FFMPEG_LOGLEVEL="32")
        code, lines = app.end()
        self.assertEqual(code, 0, self.said("detector"))
        self.assertEqual(json.loads(lines[-1])["frames"], 5)
        # FFmpeg's word for a picture of which parts are missing.
        self.assertNotIn("concealing", self.said("detector") + "\n".join(lines))
        self.stop(relay)


class RefusalTest(ProcessTest):
    def refused(self, code, words, *arguments, environment=None):
        done = subprocess.run([STAGGER, "relay", *arguments], capture_output=True, text=True,
                              timeout=DEADLINE_S, env={**os.environ, **(environment or {})})
        self.assertEqual(done.returncode, code, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        last = done.stderr.strip().splitlines()[-1]
        self.assertTrue(last.startswith("stagger relay: "), done.stderr)

    def video(self, name="clip.mov"):
        path = os.path.join(self.folder, name)
        subprocess.run([NUMBERED, "write", path, "10", "30"], check=True, timeout=DEADLINE_S)
        return path

    def test_wrong_arguments(self):
        good = ["--fps", "4", "--to", "rtsp://:0/x"]
        self.refused(2, ["source is required"])
        self.refused(2, ["--fps", "0"], "clip.avi", "--fps", "0", "--to", "rtsp://:0/x")
        self.refused(2, ["ftp", "expected rtsp://"], "c.avi", "--fps", "4", "--to", "ftp://h/x")
        self.refused(2, ["'gopher://h': unknown scheme"], "gopher://h", *good)
        self.refused(2, ["--quality: only with"], "c.avi", *good, "--quality", "5")
        self.refused(2, ["--bitrate: only with"], "c.avi", "--fps", "4", "--to", "http://:0/x",
                     "--bitrate", "500")
        self.refused(2, ["--loop: only with a file"], "rtsp://u:secret@h/x", *good, "--loop")

    def test_what_is_not_there(self):
        good = ["--fps", "4", "--to", "rtsp://:0/x"]
        self.refused(1, ["file 'no.avi': no such file"], "no.avi", *good)
        self.refused(1, ["camera '/dev/video99': no such device"], "/dev/video99", *good)
        self.refused(1, ["is not a file"], self.folder, *good)
        self.refused(1, ["relay_test.py: "], __file__, *good)
        sound = os.path.join(self.folder, "sound.wav")
        with wave.open(sound, "wb") as file:
            file.setparams((1, 2, 48000, 0, "NONE", ""))
            file.writeframes(bytes(96000))
        self.refused(1, ["sound.wav: there is no video in it"], sound, *good)

    def test_a_port_that_is_taken(self):
        clip = self.video()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for scheme in ("rtsp", "http"):
                self.refused(1, [f"cannot listen on 127.0.0.1:{port}", "already in use"], clip,
                             "--fps", "4", "--to", f"{scheme}://127.0.0.1:{port}/x")

    def test_a_codec_that_is_missing_names_the_package(self):
        clip = self.video()
        nobody = ",".join(f"{element}:NONE" for element in
                          ("avdec_h264", "openh264dec", "vah264dec", "vaapih264dec", "vaapidecodebin",
                           "nvh264dec", "nvh264sldec", "v4l2h264dec", "v4l2slh264dec", "vulkanh264dec"))
        self.refused(1, ["H.264", "apt-get install gstreamer1.0-libav"], clip, "--fps", "4", "--to",
                     "rtsp://:0/x", environment={"GST_PLUGIN_FEATURE_RANK": nobody})

    def test_an_encoder_that_is_missing_names_the_package(self):
        clip = self.video()
        plugins = os.path.join(self.folder, "plugins")
        os.mkdir(plugins)
        installed = subprocess.run(["pkg-config", "--variable=pluginsdir", "gstreamer-1.0"],
                                   capture_output=True, text=True, check=True).stdout.strip()
        for name in ("coreelements", "playback", "app", "videoconvertscale"):
            os.symlink(f"{installed}/libgst{name}.so", f"{plugins}/libgst{name}.so")
        environment = {"GST_PLUGIN_SYSTEM_PATH": plugins, "GST_PLUGIN_PATH": "",
                       "GST_REGISTRY": os.path.join(self.folder, "registry")}
        self.refused(1, ["'x264enc'", "apt-get install gstreamer1.0-plugins-ugly"], clip, "--fps",
                     "4", "--to", "rtsp://:0/x", environment=environment)
        self.refused(1, ["'jpegenc'", "apt-get install gstreamer1.0-plugins-good"], clip, "--fps",
                     "4", "--to", "http://:0/x", environment=environment)

    def test_an_installation_without_it_says_what_it_needs(self):
        alone = os.path.join(self.folder, "bin", "stagger")
        os.mkdir(os.path.dirname(alone))
        shutil.copy(STAGGER, alone)
        done = subprocess.run([alone, "relay", "x", "--fps", "4", "--to", "rtsp://:0/x"],
                              capture_output=True, text=True, timeout=DEADLINE_S)
        self.assertEqual(done.returncode, 1)
        self.assertIn("it needs GStreamer", done.stderr)


def connect_narrow(url):
    """A connection that takes in little before it is read."""
    place = urllib.parse.urlparse(url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(DEADLINE_S)
    connection.connect((place.hostname, place.port))
    return connection


def waits_to_be_read(connection):
    """Whether the other side, on this machine, has something that it cannot get rid of."""
    ours = ":%04X" % connection.getsockname()[1]
    with open("/proc/net/tcp") as table:
        for row in list(table)[1:]:
            fields = row.split()
            if fields[2].endswith(ours):
                return int(fields[4].split(":")[0], 16) > 16384
    return False


def play_and_stop_reading(url):
    """An RTSP client that starts to play and never reads again."""
    connection = connect_narrow(url)
    session = ""
    for number, (method, target, header) in enumerate((
            ("DESCRIBE", url, "Accept: application/sdp"),
            ("SETUP", url + "/stream=0", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"),
            ("PLAY", url, "Range: npt=0.000-")), 1):
        connection.sendall(f"{method} {target} RTSP/1.0\r\nCSeq: {number}\r\n{header}\r\n"
                           f"{session}\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(4096)
        assert answer.startswith(b"RTSP/1.0 200"), answer
        for line in answer.decode(errors="replace").splitlines():
            if line.startswith("Session:"):
                session = line.split(";")[0] + "\r\n"
    return connection


def get_and_stop_reading(url):
    """A viewer that asks and never reads."""
    place = urllib.parse.urlparse(url)
    connection = connect_narrow(url)
    connection.sendall(f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
    return connection


if __name__ == "__main__":
    if not NUMBERED:
        print("skipped: stagger-relay was not built, for want of GStreamer")
        sys.exit(77)
    main()
