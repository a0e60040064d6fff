"""A Node program: its addon is dlopened with a runtime of its own."""

import os
import shutil
import sys

import harness

MODULES = os.path.join(harness.CACHE, "node/node_modules")
NODE = shutil.which("node")
if NODE is None or not os.path.isdir(os.path.join(MODULES, "onnxruntime-node")):
    print("skipped: node or onnxruntime-node is missing")
    sys.exit(77)

SCRIPT = """
const ort = require('onnxruntime-node');
(async () => {
  const session = await ort.InferenceSession.create(process.argv[2]);
  const x = new ort.Tensor('float32', new Float32Array(64 * 64).fill(1 / 64), [64, 64]);
  for (let i = 0; i < 500; ++i) {
    const y = (await session.run({x})).y;
    if (i % 50 == 0) console.log(i, y.data[0], y.dims.join('x'));
  }
  let stopped = false;
  process.stdin.once('data', () => { stopped = true; process.stdin.unref(); });
  console.log('pause');
  while (!stopped) {
    await session.run({x});
    await new Promise(setImmediate);
  }
})();
"""


class Node(harness.ProcessTest):
    def test_same_output_with_turns(self):
        script = os.path.join(self.folder, "script.js")
        with open(script, "w") as file:
            file.write(SCRIPT)
        command = [NODE, script, self.model]

        def outcome(socket=None, at_pause=lambda: None):
            environment = {"NODE_PATH": MODULES, "LD_LIBRARY_PATH": ""}
            return self.start(command, socket, **environment).end(at_pause)

        bare = outcome()
        self.assertEqual(bare[0], 0, self.said())
        self.assertEqual(len(bare[1]), 11)
        self.assertEqual(outcome(os.path.join(self.folder, "nobody")), bare)
        daemon = harness.Daemon(self)
        turns = lambda: harness.wait_until(lambda: daemon.totals()["granted"] > 10, "turns")
        self.assertEqual(outcome(daemon.socket, turns), bare)
        daemon.stop()


if __name__ == "__main__":
    harness.main()
