# Flags shared by every room.
add_library(stagger_options INTERFACE)
target_include_directories(stagger_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(stagger_options INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wconversion -Wno-sign-conversion)
# Clang alone checks which lock guards what (base/thread_annotations.h); the lint preset makes it an error.
target_compile_options(stagger_options INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
# Everything that is built here: programs, preloaded libraries, and the apps of tests and examples,
# since a sanitizer sees a race between two threads only where both are instrumented.
if(STAGGER_SANITIZE)
  add_compile_options(
    -fsanitize=${STAGGER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${STAGGER_SANITIZE})
endif()

# Lines and functions for back traces; all of DWARF doubles what a build costs and takes gigabytes.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Precompiled headers are cached only with these (ccache's manual, "Precompiled headers").
  set(_launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${_launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${_launcher})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(stagger_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endif()

# The headers that cost most, compiled once: JSON and formatting for programs, GoogleTest for tests.
# A room that includes JSON in many files asks for them by stagger_precompiled(TARGET).
function(stagger_precompiled target)
  target_precompile_headers(${target} REUSE_FROM stagger_pch)
endfunction()

# For programs that scripts/portable.sh packs: beside the libraries it puts into lib/portable they run
# where Debian's are not installed. DT_RPATH, since that also holds for what those libraries need.
function(stagger_portable target)
  set_target_properties(${target} PROPERTIES BUILD_RPATH "$ORIGIN/../lib/portable")
  target_link_options(${target} PRIVATE -Wl,--disable-new-dtags)
endfunction()
