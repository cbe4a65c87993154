// The references of algorithms whose layer binds none of its own.
#pragma once

#include "schedules/gpu/threads.h"

#include <Halide.h>

namespace halcyon {

/// An algorithm that makes one activation, element by element: `output`, or the gradient `d_input`.
template<typename Stages>
concept MakesActivation = requires(Stages f) {
    f.c, f.x, f.y, f.n;
}
&&(
    requires(Stages f) { f.output; } || requires(Stages f) { f.d_input; });

template<MakesActivation Stages>
Halide::Func made_by(const Stages &f) {
    if constexpr (requires { f.output; })
        return f.output;
    else
        return f.d_input;
}

/// A task makes an image.
template<MakesActivation Stages>
void image_by_image(Stages &f) {
    made_by(f).parallel(f.n);
}

/// A thread makes an element.
template<MakesActivation Stages>
void element_by_element(Stages &f) {
    element_threads(made_by(f), f.c, f.x, f.y, f.n);
}

/// The loops that Halide makes of an algorithm without a schedule.
template<typename Stages>
void plain_loops(Stages &) {}

}  // namespace halcyon
