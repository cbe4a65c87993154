// What tiles of every target are cut by.
#pragma once

namespace halcyon {

/// The largest divisor of `n` that is at most `limit`.
constexpr int divisor_up_to(int limit, int n) {
    while (n % limit) limit--;
    return limit;
}

/// The largest power of two that divides `n` and is at most `limit`, itself a power of two.
constexpr int power_of_two_divisor(int limit, int n) {
    while (n % limit) limit /= 2;
    return limit;
}

constexpr int divide_up(int n, int by) { return (n + by - 1) / by; }

}  // namespace halcyon
