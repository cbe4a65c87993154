// The shipped network's plan, kept as a golden: whatever changes it shows up in review.
#include "plan/files.h"
#include "tests/catch.h"
#include "tests/plan/support.h"

#include <sstream>

using namespace halcyon;

TEST_CASE("the plan of cifar10 for x86_avx2 is the golden one") {
    const std::string golden = read_file(HALCYON_SOURCE_DIR "/tests/plan/golden/cifar10.x86_avx2.json");
    const std::string planned = to_json(make_plan(cifar10(), {.sets = {x86_avx2()}}));
    std::istringstream golden_lines(golden), planned_lines(planned);
    std::string was, is;
    int line = 0;
    do {
        ++line;
        was = is = "";
        std::getline(golden_lines, was);
        std::getline(planned_lines, is);
    } while (was == is && golden_lines && planned_lines);
    INFO("first difference in line " << line << "\n  golden:  " << was << "\n  planned: " << is << "\nIf the change is meant:\n"
                                     << "  build/release/bin/halcyonc plan models/cifar10.json --schedules x86_avx2 --json "
                                        "> tests/plan/golden/cifar10.x86_avx2.json");
    CHECK((planned == golden));
}
