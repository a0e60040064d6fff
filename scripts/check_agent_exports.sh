#!/bin/sh
# Checks the library that is loaded into other people's programs: it exports the
# listed names and no other, runs on old systems, and does not bring a C++
# runtime with it.   check_agent_exports.sh LIBRARY.so [GLIBC_VERSION [LIST]]
set -eu
library=${1:-}
newest=${2:-2.28}
list=${3:-$(dirname "$0")/../src/agent/exports.txt}  # one name a line, # comments
[ -f "$library" ] || { echo "check_agent_exports: no such library: '$library'"; exit 1; }
[ -f "$list" ] || { echo "check_agent_exports: no list of allowed names: '$list'"; exit 1; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
name=$(basename "$library")
broken=0
complain() {
  echo "$name: $1 ($(wc -l <"$2"))"
  sed 's/^/  /; 20q' "$2"
  broken=1
}

sed 's/#.*//' "$list" | tr -s ' \t' '\n' | sed '/^$/d' | sort -u >"$tmp/allowed"
# Absolute symbols are version names, not exports.
nm -D --defined-only "$library" | awk '$2 != "A" {sub(/@.*/, "", $3); print $3}' | sort -u >"$tmp/exported"
comm -13 "$tmp/allowed" "$tmp/exported" | c++filt >"$tmp/extra"
comm -23 "$tmp/allowed" "$tmp/exported" >"$tmp/absent"
[ ! -s "$tmp/extra" ] || complain "exports names that $list does not allow" "$tmp/extra"
[ ! -s "$tmp/absent" ] || complain "does not export what $list names" "$tmp/absent"

nm -D --undefined-only "$library" | sed -nE 's/^.* ([^ ]+)@+GLIBC_([0-9.]+)$/\2 \1/p' | sort -V >"$tmp/glibc"
awk -v newest="$newest" '
  function newer(a, b,  i, n, x, y) {
    n = split(a, x, "."); split(b, y, ".")
    for (i = 1; i <= n; i++) if (x[i] + 0 != y[i] + 0) return x[i] + 0 > y[i] + 0
    return 0
  }
  newer($1, newest) {print $2 " needs GLIBC_" $1}' "$tmp/glibc" >"$tmp/new"
[ ! -s "$tmp/new" ] || complain "needs a newer C library than GLIBC_$newest" "$tmp/new"

readelf -d "$library" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p' >"$tmp/needed"
grep -E '^libstdc\+\+|^libc\+\+' "$tmp/needed" >"$tmp/runtime" || true
[ ! -s "$tmp/runtime" ] || complain "must not need a C++ runtime library" "$tmp/runtime"

[ $broken = 0 ] || exit 1
echo "exports: $name exports $(wc -l <"$tmp/exported") allowed names, needs GLIBC_$(tail -n 1 "$tmp/glibc" | cut -d' ' -f1) at most"
