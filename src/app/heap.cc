#include "app/heap.h"

#ifdef MILL_TCMALLOC
#include <fmt/format.h>
#include <gperftools/malloc_extension.h>
#include <gperftools/tcmalloc.h>
#else
#include <malloc.h>
#endif

namespace mill::app {

#ifdef MILL_TCMALLOC

std::string allocator_name() {
  return fmt::format("tcmalloc of {}", tc_version(nullptr, nullptr, nullptr));
}

void release_free_memory() {
  MallocExtension::instance()->MarkThreadIdle();  // what this thread keeps for its next blocks
  MallocExtension::instance()->ReleaseFreeMemory();
}

#else

std::string allocator_name() {
  return "the C library's";
}

void release_free_memory() {
  ::malloc_trim(0);
}

#endif

}  // namespace mill::app
