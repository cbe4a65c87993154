// What the convolutions' menu knows of how their schedules tile. Plain C++.
#pragma once

namespace halcyon {

/// The images of a pixel that a task sums the gradients of few weights over at a time: of 32 channels 4 KiB.
constexpr int rows_images = 32;

}  // namespace halcyon
