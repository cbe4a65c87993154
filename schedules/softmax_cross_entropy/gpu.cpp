#include "schedules/gpu/softmax_cross_entropy.h"

#include "generators/layers/softmax_cross_entropy.h"
#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

/// A thread an image: what its few classes take is less than a launch.
template<typename Stages>
void images(Stages &f) {
    image_threads(f, 64);
}

const Schedules<SoftmaxCrossEntropyForward> forward_schedules{{"images", images}, {"gpu_reference", images}};
const Schedules<SoftmaxCrossEntropy> schedules{{"images", images}, {"gpu_reference", images}};

}  // namespace
}  // namespace halcyon
