# A library that is loaded into other people's processes: always optimised, its own C++ runtime
# inside, nothing visible but what it means to show. Sources of other rooms are compiled in again
# under these rules.
#
# With a sanitizer the C++ runtime is the process's: the sanitizer replaces functions of the C++
# runtime (guards of static variables, new, delete) for what is linked dynamically only.
set(_preloaded_runtime -static-libstdc++ -static-libgcc)
if(STAGGER_SANITIZE)
  set(_preloaded_runtime -fno-sanitize=vptr)  # needs run-time types, which these libraries leave out
endif()
function(stagger_preloaded target)
  set(agent ${CMAKE_SOURCE_DIR}/src/agent)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-O2 -g -UNDEBUG -fno-exceptions -fno-rtti -fno-sanitize=vptr
      -ffunction-sections $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety> -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
      -include ${agent}/old_glibc.h>)
  # libdl and libpthread are part of libc since glibc 2.34, but with an older one an app that has not
  # loaded them could not start with us: named here, though the linker sees no need.
  target_link_options(${target} PRIVATE
    ${_preloaded_runtime}
    -Wl,-z,nodelete -Wl,-z,now -Wl,-Bsymbolic -Wl,--gc-sections -Wl,--no-undefined
    -Wl,--exclude-libs,ALL
    -Wl,--push-state,--no-as-needed,-l:libdl.so.2,-l:libpthread.so.0,--pop-state)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${agent}/old_glibc.h)
endfunction()
