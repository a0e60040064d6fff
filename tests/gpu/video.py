"""Frames of a camera: a video file by OpenCV, or frames decoded beforehand (.npy); and the pace at
which they come. `python3 video.py OUT.npy [--from CLIP]` decodes a clip, or draws one, into a .npy.
"""

import argparse
import hashlib
import json
import math
import signal
import sys
import time

import numpy as np


def draw(count=48, height=576, width=768, seed=1):
    """Moving boxes and discs on a background: what a detector's pre-processing has to work through."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    ground = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], axis=2)
    ground = (ground * 0.5 + rng.integers(0, 64, (height, width, 3))).astype(np.uint8)
    things = [(rng.uniform(0, width), rng.uniform(0, height), rng.uniform(-9, 9), rng.uniform(-5, 5),
               int(rng.integers(12, 60)), rng.integers(64, 256, 3), bool(rng.integers(2)))
              for _ in range(24)]
    frames = np.empty((count, height, width, 3), np.uint8)
    for number in range(count):
        frame = frames[number]
        frame[:] = ground
        for x, y, dx, dy, size, colour, disc in things:
            x, y = (x + dx * number) % width, (y + dy * number) % height
            top, left = max(0, int(y - size)), max(0, int(x - size))
            part = frame[top:int(y + size), left:int(x + size)]
            if disc:
                inside = ((rows[top:int(y + size), left:int(x + size)] - y) ** 2 +
                          (columns[top:int(y + size), left:int(x + size)] - x) ** 2) < size * size
                part[inside] = colour
            else:
                part[:] = colour
    return frames


def read(path):
    """All frames, RGB."""
    if path.endswith(".npy"):
        return np.load(path, mmap_mode="r")
    import cv2
    video = cv2.VideoCapture(path)
    frames = []
    while True:
        good, frame = video.read()
        if not good:
            break
        frames.append(frame[:, :, ::-1])
    if not frames:
        sys.exit(f"cannot read any frame from '{path}'")
    return np.stack(frames)


def options(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--video", required=True, help="a clip, or a .npy of frames")
    parser.add_argument("--fps", type=float, default=0, help="the camera's rate; 0: always a frame ready")
    parser.add_argument("--phase", type=float, default=0, help="ms after the start of the first frame")
    parser.add_argument("--frames", type=int, default=100, help="how many frames arrive")
    parser.add_argument("--seconds", type=float, default=0, help="for how long, instead of --frames")
    parser.add_argument("--samples", help="write arrival_ns,start_ns,end_ns,result_ns of each inference")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=int, default=0, help="the network's input, smaller than usual")
    parser.add_argument("--deterministic", action="store_true")
    return parser


def distribution(values):
    if not values:
        return None
    values = sorted(values)
    rank = lambda part: values[max(math.ceil(part * len(values)), 1) - 1]
    return {"min": values[0], "mean": sum(values) / len(values), "p50": rank(0.5), "p99": rank(0.99),
            "max": values[-1]}


class Camera:
    """Frames arrive at a rate; one that arrives while the last is still being looked at is dropped."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.frames = read(arguments.video)
        self.stopped = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)

    def stop(self, *_):
        self.stopped = True

    def run(self, name, detect):
        """detect(frame) -> {"boxes", "labels", "scores"} in NumPy. Prints one line of JSON."""
        a = self.arguments
        samples = open(a.samples, "w", buffering=1, encoding="ascii") if a.samples else None
        if samples:
            samples.write("arrival_ns,start_ns,end_ns,result_ns\n")
        digest, boxes, inference, latency = hashlib.sha256(), 0, [], []
        start = time.monotonic_ns() + int(a.phase * 1e6)
        due = lambda frame: start + round(frame * 1e9 / a.fps)
        total = (a.frames if not a.seconds else
                 int(a.seconds * a.fps) if a.fps else 1 << 60)
        frame = arrived = drops = 0
        while not self.stopped and frame < total:
            if a.fps:
                time.sleep(max(0, due(frame) - time.monotonic_ns()) / 1e9)
                if self.stopped:
                    break
            elif a.seconds and time.monotonic_ns() - start > a.seconds * 1e9:
                break
            begin = time.monotonic_ns()
            arrival = due(frame) if a.fps else begin
            found = detect(self.frames[frame % len(self.frames)])
            end = time.monotonic_ns()
            for key in ("boxes", "labels", "scores"):
                digest.update(np.ascontiguousarray(found[key]).tobytes())
            boxes += len(found["boxes"])
            result = time.monotonic_ns()
            inference.append((end - begin) / 1e6)
            latency.append((result - arrival) / 1e6)
            if samples:
                samples.write(f"{arrival},{begin},{end},{result}\n")
            following = frame + 1
            if a.fps:
                ready = math.ceil((time.monotonic_ns() - start) * a.fps / 1e9)
                following = max(following, min(ready, total))
            drops += following - frame - 1
            frame = arrived = following
        seconds = max(time.monotonic_ns() - start, 1) / 1e9
        print(json.dumps({
            "app": name, "fps_required": a.fps or None, "frames": arrived, "done": len(inference),
            "drops": drops, "fps": len(inference) / seconds, "boxes": boxes,
            "checksum": digest.hexdigest()[:16], "inference_ms": distribution(inference),
            "latency_ms": distribution(latency) if a.fps else None}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--from", dest="clip")
    parser.add_argument("--count", type=int, default=48)
    given = parser.parse_args()
    np.save(given.out, read(given.clip)[:given.count] if given.clip else draw(given.count))
