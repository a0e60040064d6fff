#include "settings.h"

#include <CLI/CLI.hpp>

#include "driver_api.h"
#include "inference.h"

namespace cuda_camera {

std::optional<int> ReadSettings(int argc, char** argv, Settings* s) {
  CLI::App app{
      "A camera app on the CUDA driver API: per frame it decodes (CPU), copies to the GPU, runs a "
      "body of kernels, post-processes (small kernels, copies back, CPU), and does its own work. "
      "Kernels take the times given here: a virtual GPU reads them, for a real one they become "
      "work. The defaults "
      "are SSD-ResNet on a T4 as Table 2 of the paper fits it.",
      "cuda-camera"};
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  s->binding = DefaultBinding();
  app.add_option("--shape", s->shape, "what an inference is made of, one of: " + ShapeNames())
      ->check([](const std::string& name) {
        return IsShape(name) ? "" : "'" + name + "'; expected one of " + ShapeNames();
      })
      ->capture_default_str();
  app.add_option("--bind", s->binding, "how the driver is found: linked, dlsym or proc")
      ->capture_default_str();
  const auto time = CLI::Range(0.0, 1e7);
  app.add_option("--fps", s->fps, "the camera's rate; 0: a frame is always ready")
      ->check(CLI::Range(0.0, 1e5));
  app.add_option("--phase", s->phase_ms, "the first frame comes this many ms after the start")
      ->check(time);
  app.add_option("--start-at", s->start_at, "the start, in ns of CLOCK_MONOTONIC; default: now");
  app.add_option("--warmup", s->warmup,
                 "inferences before the start, one after another; they count for nothing")
      ->check(CLI::Range(0, 1'000'000));
  app.add_option("--ready-file", s->ready_file, "create this file when warm");
  app.add_option("--wait-for", s->wait_for,
                 "start when this file exists, at the instant that it holds as --start-at does");
  app.add_option("--frames", s->frames, "how many frames arrive")
      ->check(CLI::Range(1, 100'000'000));
  app.add_option("--seconds", s->seconds, "for how long frames arrive, instead of --frames")
      ->check(CLI::Range(0.0, 1e7));
  app.add_option("--pre", s->pre_ms, "ms of decoding before the copy (CPU)")->check(time);
  app.add_option("--body", s->body_ms, "ms of the body, all its kernels together")->check(time);
  app.add_option("--kernels", s->kernels, "how many kernels the body has")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--demand", s->demand, "how much of the GPU the body fills")
      ->check(CLI::Range(0.001, 1.0));
  app.add_option("--post", s->post_ms, "ms of post-processing, the CPU's part included")
      ->check(time);
  app.add_option("--post-steps", s->post_steps,
                 "kernel, copy back, wait, CPU: so many times; 0: a copy back only")
      ->check(CLI::Range(0, 10'000));
  app.add_option("--post-cpu", s->post_cpu_ms, "ms of --post that are the CPU's")->check(time);
  app.add_option("--app", s->app_ms, "ms of the app's own work after an inference (CPU)")
      ->check(time);
  app.add_option("--burn", s->burn,
                 "the part of CPU work that is really computed; the rest is slept, so that several "
                 "apps fit on a small machine")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--first", s->first_ms, "ms that the first inference takes longer (GPU)")
      ->check(time);
  app.add_option(
         "--rate", s->rate,
         "rounds of kernel work per ms, on a real GPU; 0: measured at the start, which needs "
         "a GPU that is idle then. The JSON tells it")
      ->check(CLI::Range(0.0, 1e12));
  app.add_option("--at", s->at, "the inference at which fork, exec, crash and hang do it")
      ->check(CLI::Range(0, 100'000'000));
  app.add_option("--truth", s->truth, "write when each body was launched and over to this file");
  app.add_option("--samples", s->samples,
                 "write arrival_ns,start_ns,end_ns,result_ns of each inference to this file");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (s->post_cpu_ms > s->post_ms) {
    std::fprintf(stderr, "cuda-camera: --post-cpu %g: expected at most --post, %g\n",
                 s->post_cpu_ms, s->post_ms);
    return 2;
  }
  return std::nullopt;
}

}  // namespace cuda_camera
