# Writes OUT, a header with the commit this tree stands at; touches it only when it changes, so that a rebuild without a new
# commit compiles nothing. Run by the target mill_version_stamp:  cmake -DROOT=… -DOUT=… -P version_stamp.cmake
find_package(Git QUIET)
set(commit "unknown")
if(Git_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${ROOT} describe --always --dirty --abbrev=12 --exclude=*
                  OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE code)
  if(code EQUAL 0 AND NOT described STREQUAL "")
    set(commit "${described}")
  endif()
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#pragma once\n#define MILL_COMMIT \"${commit}\"\n" @ONLY)
