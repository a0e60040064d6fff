#!/bin/bash
# What the builds behind ./dev demo and ./dev test cost, beside those of another commit: CPU time and
# wall time of configuring and compiling in fresh checkouts with an empty compiler cache each, one
# after the other. Packages, runtime, model and clip are there already (./dev setup).
#   scripts/compare_builds.sh BASE_COMMIT [DIRECTORY]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
base=${1:?usage: scripts/compare_builds.sh BASE_COMMIT [DIRECTORY]}
work=$(mktemp -d "${2:-/tmp}/compare-builds.XXXXXX")
trap 'for tree in "$work"/*/; do git -C "$root" worktree remove --force "$tree" 2>/dev/null || true; done
      rm -rf "$work"' EXIT

# cost NAME COMMIT TARGET: one line "NAME CPU_S WALL_S STEPS".
cost() {
  local tree=$work/$1 log=$work/$1.log
  git -C "$root" worktree add --quiet --detach "$tree" "$2"
  mkdir -p "$tree/build"
  ln -s "$root/build/cache" "$tree/build/cache"
  local TIMEFORMAT='%U %S %R' times
  times=$({ time { (cd "$tree" && export CCACHE_DIR=$work/$1.ccache && cmake --preset release &&
    cmake --build --preset release --target "$3") >"$log" 2>&1; }; } 2>&1) || { tail -20 "$log" >&2; exit 1; }
  local steps
  steps=$(grep -o '^\[[0-9]*/[0-9]*\]' "$log" | tail -1)
  awk -v name="$1" -v steps="$steps" '{ printf "%-10s %8.0f s CPU %8.0f s wall  %s\n", name, $1 + $2, $3, steps }' <<<"$times"
  git -C "$root" worktree remove --force "$tree"
}

head=$(git -C "$root" rev-parse HEAD)
echo "$(nproc) cores, $(date -u +%F), $head beside $base"
cost demo "$head" demo
cost base "$base" all # the base commit builds all it has for its demo and for its tests
cost test "$head" all
