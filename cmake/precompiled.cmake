# mill_precompile(TARGET KIND LINKS …)
#
# Precompiles cmake/precompiled/KIND.h for TARGET; KIND is plain, json or wire, or one of them with _test. The first target of a kind
# compiles it; those with the same optimization level and the same macros (Boost.JSON brings some) reuse it. With MILL_PCH=OFF every
# file stands on its own includes (make includes).
option(MILL_PCH "Precompile the headers that most files see" ON)
if(MILL_PCH AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-fpch-preprocess)  # lets ccache see what was precompiled
endif()

function(mill_precompile target kind)
  if(NOT MILL_PCH)
    return()
  endif()
  if(kind MATCHES "_test$")
    if(NOT TARGET mill_prints)
      add_library(mill_prints STATIC ${PROJECT_SOURCE_DIR}/cmake/precompiled/prints.cc)
    endif()
    target_link_libraries(${target} PRIVATE mill_prints)
  endif()
  get_target_property(options ${target} COMPILE_OPTIONS)
  string(REGEX MATCHALL "-O[0-9]" level "${options}")
  set(key mill_precompiled_${kind}${level})
  if("Boost::json" IN_LIST ARGN)
    string(APPEND key _json)
  endif()
  get_property(owner GLOBAL PROPERTY ${key})
  if(owner)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  else()
    target_precompile_headers(${target} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/precompiled/${kind}.h)
    set_property(GLOBAL PROPERTY ${key} ${target})
  endif()
endfunction()
