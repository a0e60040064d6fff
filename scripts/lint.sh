#!/bin/sh
# Every check that needs no running program. lint.sh BUILD_DIR, which must hold
# a clang build with compile_commands.json; ./dev lint makes it first.
# All checks run; the exit code says whether any of them failed.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1
failed=

check() {
  name=$1
  shift
  echo "lint: $name" >&2
  "$@" || failed="$failed $name"
}

check format scripts/format.sh --check
check layers scripts/check_layers.py
check paths scripts/check_paths.py
check timers scripts/check_timers.py
check lists scripts/check_lists.py
check words scripts/check_words.py
pure=
for room in phase core admission batching placement; do
  library=$(find "$build" -name "libstagger_$room.a")
  # shellcheck disable=SC2086  # a list of words on purpose
  check "purity of $room" scripts/check_purity.sh "$library" $pure
  pure="$pure $library"
done
check exports scripts/check_agent_exports.sh "$(find "$build/lib" -name 'libstagger-agent.so')"
check clang-tidy run-clang-tidy -quiet -p "$build" '/(src|lab)/.*\.cc$'

if [ -n "$failed" ]; then
  echo "lint: failed:$failed" >&2
  exit 1
fi
echo "lint: all checks passed" >&2
