#!/bin/sh
# Packs a build so that it runs on machines where Debian's libraries are not installed: the programs,
# the preloaded libraries, the virtual GPU, and what the programs need beside glibc.
#   portable.sh [BUILD_FOLDER]        writes BUILD_FOLDER/portable/ and BUILD_FOLDER/stagger-portable.tar.gz
# Programs that want more of the system (camera-detector: OpenCV) are left out.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build}
out=$build/portable
say() { echo "portable: $*" >&2; }

for needed in bin/stagger bin/staggerd bin/stagger-executor bin/stagger-lab lib/libstagger-agent.so lib/libstagger-cuda.so \
    lib/vgpu/libcuda.so.1 examples/cuda-camera; do
  [ -e "$build/$needed" ] || { say "no $build/$needed; build first: ./dev build"; exit 1; }
done

rm -rf "$out"
mkdir -p "$out/bin" "$out/lib/vgpu" "$out/lib/portable/newer" "$out/examples"
cp "$build/bin/stagger" "$build/bin/staggerd" "$build/bin/stagger-executor" "$build/bin/stagger-lab" "$out/bin/"
cp "$build/lib/libstagger-agent.so" "$build/lib/libstagger-cuda.so" "$out/lib/"
cp -L "$build"/lib/vgpu/*.so.1 "$out/lib/vgpu/"
cp "$build/examples/cuda-camera" "$out/examples/"
cp "$root/LICENSE" "$out/"

# All they need, and what that needs, but the C library, which must be the system's.
ldd "$out/bin/stagger" "$out/bin/staggerd" "$out/bin/stagger-executor" "$out/bin/stagger-lab" "$out/examples/cuda-camera" >"$out/needed"
if grep 'not found' "$out/needed" >&2; then say "these libraries are missing here"; exit 1; fi
sed -nE 's/^\s*(\S+) => (\/\S+) .*/\1 \2/p' "$out/needed" | sort -u |
  grep -vE '^(libc|libm|libdl|libpthread|librt|libresolv)\.so' >"$out/list" || true
while read -r name path; do cp -L "$path" "$out/lib/portable/$name"; done <"$out/list"
rm "$out/needed" "$out/list"
# Debian's C++ runtime needs a newer glibc than all else here, and most systems have one that will do.
mv "$out"/lib/portable/libstdc++.so.6 "$out"/lib/portable/libgcc_s.so.1 "$out/lib/portable/newer/"
# Debug information stays in the build.
find "$out" -type f \( -name '*.so*' -o -path '*/bin/*' -o -path '*/examples/*' \) \
  -exec chmod u+w {} + -exec strip --strip-unneeded {} +

# The newest version of glibc, or of the C++ runtime, that the given files ask for.
newest() {
  version=$1
  shift
  find "$@" -type f -exec objdump -T {} + 2>/dev/null | sed -nE "s/.*\\($version([0-9.]+)\\).*/\\1/p" |
    sort -uV | tail -n 1
}
runtime=$out/lib/portable/newer
glibc=$(newest GLIBC_ "$out/bin" "$out/examples" "$out"/lib/*.so "$out"/lib/portable/*.so.*)
cxx=$(newest GLIBCXX_ "$out/bin" "$out/examples" "$out"/lib/portable/*.so.*)
cat >"$out/README" <<TEXT
Stagger, packed to run without Debian's libraries: x86-64, glibc $glibc or newer, and a libstdc++ that
has GLIBCXX_$cxx. Where that is missing: cp lib/portable/newer/* lib/portable/ (needs glibc
$(newest GLIBC_ "$runtime"), as does the virtual GPU).
bin/stagger finds all else beside itself; keep the folders together. lib/portable holds unchanged
libraries from $(. /etc/os-release && echo "$PRETTY_NAME"), each under its own licence:
$(cd "$out/lib/portable" && find . -type f | sort | sed 's/^\./ /')
TEXT
tar -C "$build" -czf "$build/stagger-portable.tar.gz" portable
size=$(du -sm "$out" | cut -f1)
say "$out: $size MB, needs glibc $glibc and GLIBCXX_$cxx; packed: $build/stagger-portable.tar.gz"
