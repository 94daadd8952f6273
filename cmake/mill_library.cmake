# mill_library(NAME SOURCES … TESTS … USES mill::… LINKS …)
#
# Declares the library mill::NAME from the folder it is called in, and its one test binary mill_NAME_test. USES names rooms of
# ARCHITECTURE.md's layer table (checked by tools/house.py); LINKS names libraries from outside. PRECOMPILED json or wire precompiles
# JSON, or Asio too, for a room most of whose files see them (cmake/precompiled.cmake). HEADERS_ALONE: much of the room is in headers
# that have no file of their own, so UBSan looks at its tests, too, which hold that code.
set(MILL_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers)

function(mill_library name)
  cmake_parse_arguments(ARG "HEADERS_ALONE" "PRECOMPILED" "SOURCES;TESTS;USES;LINKS;TEST_USES;TEST_LINKS" ${ARGN})
  set(headers plain)
  if(ARG_PRECOMPILED)
    set(headers ${ARG_PRECOMPILED})
  endif()
  if(ARG_SOURCES)
    add_library(mill_${name} STATIC ${ARG_SOURCES})
    set(scope PUBLIC)
    target_compile_options(mill_${name} PRIVATE ${MILL_WARNINGS})
    mill_precompile(mill_${name} ${headers} ${ARG_LINKS})
  else()
    add_library(mill_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(mill::${name} ALIAS mill_${name})
  target_include_directories(mill_${name} ${scope} ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(mill_${name} ${scope} ${ARG_USES} ${ARG_LINKS})
  if(ARG_TESTS AND MILL_BUILD_TESTS)
    find_package(GTest REQUIRED)
    add_executable(mill_${name}_test ${ARG_TESTS})
    target_compile_options(mill_${name}_test PRIVATE ${MILL_WARNINGS})
    if(NOT ARG_HEADERS_ALONE)
      mill_test_code(mill_${name}_test)
    endif()
    mill_precompile(mill_${name}_test ${headers}_test ${ARG_LINKS})
    target_compile_definitions(mill_${name}_test PRIVATE MILL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    target_link_libraries(mill_${name}_test PRIVATE mill::${name} ${ARG_TEST_USES} ${ARG_TEST_LINKS} GTest::gtest GTest::gtest_main)
    add_test(NAME ${name} COMMAND mill_${name}_test)
  endif()
endfunction()

# mill_fuzz(NAME SOURCES … SEEDS … USES mill::…)
#
# Declares the libFuzzer target mill_NAME_fuzz, and mill_NAME_fuzz_seeds, which writes what it starts from into a folder.
# tools/fuzz.sh runs them. The code under test is instrumented by cmake/sanitizers.cmake.
function(mill_fuzz name)
  cmake_parse_arguments(ARG "" "" "SOURCES;SEEDS;USES" ${ARGN})
  add_executable(mill_${name}_fuzz ${ARG_SOURCES})
  target_compile_options(mill_${name}_fuzz PRIVATE ${MILL_WARNINGS})
  target_link_libraries(mill_${name}_fuzz PRIVATE ${ARG_USES})
  target_link_options(mill_${name}_fuzz PRIVATE -fsanitize=fuzzer)
  add_executable(mill_${name}_fuzz_seeds ${ARG_SEEDS})
  target_compile_options(mill_${name}_fuzz_seeds PRIVATE ${MILL_WARNINGS})
  target_link_libraries(mill_${name}_fuzz_seeds PRIVATE ${ARG_USES})
endfunction()
