// The app's kernels for a real GPU. kernels.ptx is made from this file:
//   nvcc -ptx -arch=compute_75 -o kernels.ptx kernels.cu
// and then asks for PTX 7.0 instead of the compiler's newest, so that drivers since CUDA 11 take
// it. Each does the arithmetic that is compared, and then `work` rounds of 16 multiply-adds per
// thread. Rounds, not time: a kernel that shares the GPU takes longer, as real ones do. With 512
// threads on every multiprocessor the arithmetic units are full.

namespace {

__device__ void Work(long long work, float seed, float* never) {
  float a = seed;
#pragma unroll 1
  for (long long i = 0; i < work; ++i) {
#pragma unroll
    for (int j = 0; j < 16; ++j) a = __fmaf_rn(a, 0.999f, 0.001f);
  }
  if (a == -1.0f) *never = a;  // it never is, but the compiler cannot know
}

__device__ int Index() { return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); }

__device__ void Add(float* to, const float* from, int count, long long work) {
  const int i = Index();
  Work(work, static_cast<float>(i & 1023), to);
  if (i < count) to[i] = __fadd_rn(to[i], from[i]);
}

}  // namespace

extern "C" {

__global__ void conv(float* to, const float* from, int count, long long work) {
  Add(to, from, count, work);
}
__global__ void other_conv(float* to, const float* from, int count, long long work) {
  Add(to, from, count, work);
}
__global__ void branch(float* to, const float* from, int count, long long work) {
  Add(to, from, count, work);
}
__global__ void compile(float* to, const float* from, int count, long long work) {
  Add(to, from, count, work);
}
__global__ void endless(float* to, const float* from, int count, long long work) {
  Add(to, from, count, work);
}
__global__ void nms(float* to, const float* from, float factor, int count, long long work) {
  const int i = Index();
  Work(work, static_cast<float>(i & 1023), to);
  if (i < count) to[i] = __fmul_rn(factor, from[i]);
}

}  // extern "C"
