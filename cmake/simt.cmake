# Compiles .cu files for the SIMT emulator (tests/simt), with the host compiler and without CUDA.

# roap_add_simt_library(TARGET SOURCE...): the same sources as for roap_add_cuda_library. A .cu file is compiled through a
# C++ file that only includes it, because a source file can have just one language in a folder. What links such a library
# must not link the CUDA runtime: both define its functions.
function(roap_add_simt_library target)
  set(sources "")
  foreach(source IN LISTS ARGN)
    get_filename_component(path ${source} ABSOLUTE)
    if(path MATCHES "\\.cu$")
      file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR} ${path})
      set(wrapper ${CMAKE_BINARY_DIR}/simt/${name}.cpp)
      file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${name}\"\n")
      list(APPEND sources ${wrapper})
    else()
      list(APPEND sources ${path})
    endif()
  endforeach()
  add_library(${target} STATIC ${sources})
  target_link_libraries(${target} PUBLIC roap_simt)
  target_compile_definitions(${target} PRIVATE ROAP_HAS_SM90A)
  # A .cu file is not the main file of its wrapper, which makes GCC doubt its anonymous namespaces.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  # Optimized in all but debug builds, less than -O3: kernels are unrolled by hand.
  target_compile_options(${target} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O2>)
  # GCC's list of a file's globals names places in the source whose section the linker may drop (std::source_location in inline
  # functions). Kernels have no globals to guard.
  if(ROAP_SANITIZE MATCHES "address")
    target_compile_options(${target} PRIVATE --param=asan-globals=0)
  endif()
endfunction()

# roap_count_accesses(TARGET): lets the emulator count loads and stores of the target's kernels (tests/simt/counts.h). The option's own
# library is not linked. Compilers refuse it together with AddressSanitizer.
function(roap_count_accesses target)
  if(NOT ROAP_SANITIZE MATCHES "address")
    target_compile_options(${target} PRIVATE -fsanitize=thread)
  endif()
endfunction()
