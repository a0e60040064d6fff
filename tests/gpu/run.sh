#!/bin/sh
# Builds, checks and measures everything on a real GPU, in one call. docs/gpu-testing.md says what.
#   tests/gpu/run.sh [--out FOLDER] [--parts A,B] [--seconds S] [--quick] [--cells C] ...
#   tests/gpu/run.sh --dry-run      without a GPU: on the virtual one, PyTorch on the CPU
# Exit code: 0 ok, 1 something failed, 77 skipped (no GPU).
set -u
began=$(date +%s)
export PYTHONDONTWRITEBYTECODE=1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
say() { echo "gpu: $*" >&2; }

dry=
quick=
out=${OUT:-$root/build/gpu-results}
previous=
for word in "$@"; do
  case $word in
    --dry-run) dry=yes ;;
    --quick) quick=yes ;;
    --out=*) out=${word#--out=} ;;
  esac
  [ "$previous" != --out ] || out=$word
  previous=$word
done

has_gpu() {
  [ -e /proc/driver/nvidia/version ] || [ -e /dev/nvidiactl ] || return 1
  command -v nvidia-smi >/dev/null || return 0
  [ -n "$(nvidia-smi -L 2>/dev/null | grep '^GPU')" ]
}
if [ -z "$dry" ] && ! has_gpu; then
  echo "skipped: no GPU (nvidia driver not found)"
  exit 77
fi

# The build: a portable one if there is one (it runs where Debian's libraries are missing), else this
# tree's own. STAGGER_INSTALL names another.
works() { "$1/bin/stagger" --version >/dev/null 2>&1 && "$1/bin/staggerd" --help >/dev/null 2>&1; }
install=
for candidate in ${STAGGER_INSTALL:-} "$root/build" "$root/build/portable"; do
  [ -x "$candidate/bin/stagger" ] || continue
  if works "$candidate"; then install=$candidate; break; fi
  # Perhaps the system's C++ runtime is too old: the packed one beside it, in a copy.
  if [ -d "$candidate/lib/portable/newer" ]; then
    copy=$(mktemp -d)/stagger
    cp -r "$candidate" "$copy" && cp "$copy"/lib/portable/newer/* "$copy/lib/portable/"
    if works "$copy"; then install=$copy; say "using the packed C++ runtime"; break; fi
  fi
  say "$candidate does not run here: $("$candidate/bin/stagger" --version 2>&1 | head -n 1)"
done
if [ -z "$install" ]; then
  say "no stagger that runs here; build it (./dev build), or bring build/portable (./dev portable)"
  exit 1
fi

# A Python with PyTorch, if there is one anywhere usual.
python=
torch=0
for candidate in ${PYTHON:-} python3 /usr/bin/python3 /opt/*/bin/python3 /usr/local/bin/python3 python; do
  candidate=$(command -v "$candidate") || continue
  "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || continue
  [ -n "$python" ] || python=$candidate
  if "$candidate" -c 'import numpy, torch, torchvision' 2>/dev/null; then
    python=$candidate
    torch=1
    break
  fi
done
[ -n "$python" ] || { say "no Python 3.9 or newer here"; exit 1; }
[ $torch = 1 ] || say "no Python here has PyTorch and torchvision: the parts that need them are left out"

# The CUDA C++ programs; what cannot be built is left out, and build.log says why.
mkdir -p "$out/logs" || exit 1
out=$(cd "$out" && pwd)
built=$out/built
mkdir -p "$built"
nvcc=$(command -v nvcc || ls /usr/local/cuda*/bin/nvcc 2>/dev/null | tail -n 1)
{
  echo "install $install"; echo "python $python, torch $torch"; echo "nvcc ${nvcc:-none}"
  g++ -std=c++17 -O2 -o "$built/driver_costs" "$here/driver_costs.cc" -ldl
  # ONNX Runtime's header comes with its packages, and with this tree's set-up.
  g++ -std=c++17 -O2 -I"${ORT_CUDA:-/nonexistent}/../include" -I"$root/build/cache/onnxruntime/include" \
    -I/usr/include/onnxruntime -I/usr/local/include/onnxruntime -o "$built/ort_app" "$here/ort_app.cc" -ldl
  # A dry run cannot run what nvcc makes: only a long one tries whether it compiles.
  if [ -n "$nvcc" ] && { [ -z "$dry" ] || [ -z "$quick" ]; }; then
    arch=-arch=native
    [ -z "$dry" ] || arch=-arch=sm_90
    for runtime in static shared; do
      name=camera
      [ $runtime = static ] || name=camera-shared
      path=
      [ $runtime = static ] || path="-Xlinker -rpath=$(dirname "$(dirname "$nvcc")")/lib64"
      "$nvcc" -std=c++17 -O2 $arch -cudart $runtime $path -o "$built/$name" "$here/camera.cu" ||
        "$nvcc" -std=c++17 -O2 -cudart $runtime $path -o "$built/$name" "$here/camera.cu" &
    done
    wait
  fi
} >"$out/logs/build.log" 2>&1

set -- "$@" --began "$began" --out "$out" --install "$install" --built "$built" --python "$python" --torch "$torch"
if [ -n "$dry" ]; then
  DEVICE_LOG=$(mktemp)
  export DEVICE_LOG
  trap 'rm -f "$DEVICE_LOG"' EXIT
  "$install/bin/stagger" vgpu --log "$DEVICE_LOG" -- "$python" "$here/suite.py" "$@"
  exit $?
fi
exec "$python" "$here/suite.py" "$@"
