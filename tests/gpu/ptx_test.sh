#!/bin/sh
# The kernels that cuda-camera brings for a real GPU assemble for the GPUs from the T4 to today's.
set -eu
ptx=$(dirname "$0")/../../examples/cuda-camera/kernels.ptx
ptxas=$(command -v ptxas || ls /usr/local/cuda*/bin/ptxas 2>/dev/null | tail -n 1)
[ -n "$ptxas" ] || { echo "skipped: no ptxas (CUDA toolkit) here"; exit 77; }
for gpu in sm_75 sm_80 sm_90; do
  "$ptxas" --gpu-name "$gpu" -o /dev/null "$ptx"
  echo "$gpu: ok"
done
for kernel in conv other_conv branch compile nms endless; do
  grep -q "^\.visible \.entry $kernel(" "$ptx" || { echo "no kernel $kernel"; exit 1; }
done
