#!/bin/sh
# Reads what the product's programs are linked with: a solver only where plans for fleets are made,
# and nothing of the laboratory.
#   check_links.sh STAGGER STAGGERD
set -eu
stagger=$1 staggerd=$2 failed=

forbid() {  # forbid PROGRAM WHAT PATTERN: among the libraries it needs, at first and second hand
  if ldd "$1" | grep -E "$3"; then echo "$1: links $2"; failed=1; fi
}
forbid "$stagger" "Cbc, which only the laboratory's yardsticks need" 'libCbc|libOsiCbc'
forbid "$staggerd" "a solver" 'libCbc|libClp|libOsi|libCoinUtils'
for program in "$stagger" "$staggerd"; do
  forbid "$program" "GStreamer" 'libgst'
  if nm -C "$program" 2>/dev/null | grep -m1 -E 'stagger::(sim|vgpu)::'; then
    echo "$program: has the simulator or the virtual GPU in it"
    failed=1
  fi
done
# The check itself would see them: stagger does have the planner.
nm -C "$stagger" | grep -q 'stagger::planner::' || { echo "$stagger: no symbols to read"; failed=1; }
[ -z "$failed" ] && echo "links: stagger has Clp for plans, staggerd no solver; neither has a simulator or virtual GPU"
[ -z "$failed" ]
