// The allocator behind new and malloc in this program: tcmalloc, whose threads take and give small
// blocks without a lock; where the build says so (MILL_ALLOCATOR=system), the C library's; under a
// sanitizer, its own.
#pragma once

#include <string>

namespace mill::app {

// "tcmalloc of gperftools 2.10" or "the C library's".
std::string allocator_name();

// Gives memory that nothing uses back to the system, at once; what is freed otherwise goes back bit
// by bit, or not at all.
void release_free_memory();

}  // namespace mill::app
