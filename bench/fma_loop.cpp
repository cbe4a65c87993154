// The loop that measures the peak: nothing but multiply-adds on registers. It is compiled for several instruction sets and therefore
// includes no header, whose inline functions would be compiled for them too.

#if defined(__AVX512F__)
constexpr int floats = 16;
#elif defined(__AVX2__)
constexpr int floats = 8;
#else
constexpr int floats = 4;
#endif

/// `iterations` times 12 vector multiply-adds that do not wait for each other: two FMAs a cycle of latency 4 need 8. Returns their
/// operations.
extern "C" double FMA_LOOP(long iterations) {
    using Vector = float __attribute__((vector_size(floats * sizeof(float))));
    Vector sums[12] = {};
    Vector factor = sums[0] + 0.999f, addend = sums[0] + 0.001f;
    for (Vector &sum : sums) asm volatile("" : "+x"(sum));  // unknown to the compiler: 12 equal sums would become one
    for (long i = 0; i < iterations; i++) {
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++) sums[j] = sums[j] * factor + addend;
    }
    Vector total = sums[0];
    for (int j = 1; j < 12; j++) total += sums[j];
    asm volatile("" : : "x"(total));
    return 2.0 * 12 * floats * static_cast<double>(iterations);
}
