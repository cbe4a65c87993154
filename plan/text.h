// Text from outside as it may stand in a line for a person.
#pragma once

#include <string>
#include <string_view>

namespace halcyon {

/// `text` on one line that no terminal obeys: line breaks and other control characters (C0, C1, those that turn the direction of writing)
/// become "\n", "\t", "\r" or "\x1b", bytes that are no UTF-8 become "\xff". Everything else stays as it is, backslashes too.
std::string printable(std::string_view text);

/// The first `most` bytes of `text`, and "..." where there is more.
std::string shortened(std::string_view text, std::size_t most);

}  // namespace halcyon
