// Threads with little stack, as Java, macOS and musl make them.
#pragma once

#include <pthread.h>

#include <cstddef>

namespace halcyon::tests {

/// While it lives, new threads have stacks of so many bytes unless they ask for others, as under a small `ulimit -s`.
class SmallStacks {
public:
    explicit SmallStacks(std::size_t bytes) {
        pthread_getattr_default_np(&before_);
        pthread_attr_t small;
        pthread_attr_init(&small);
        pthread_attr_setstacksize(&small, bytes);
        pthread_setattr_default_np(&small);
        pthread_attr_destroy(&small);
    }
    ~SmallStacks() {
        pthread_setattr_default_np(&before_);
        pthread_attr_destroy(&before_);
    }
    SmallStacks(const SmallStacks &) = delete;
    SmallStacks &operator=(const SmallStacks &) = delete;

private:
    pthread_attr_t before_{};
};

}  // namespace halcyon::tests
