#!/bin/sh
# Formats the C++ sources in place; with --check only says which are not formatted.
set -eu
cd "$(dirname "$0")/.."
mode=-i
[ "${1:-}" = --check ] && mode="--dry-run -Werror"
# shellcheck disable=SC2086  # $mode is words on purpose
find src lab examples tests -name '*.cc' -o -name '*.h' | sort | xargs clang-format $mode
