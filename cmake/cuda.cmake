# CUDA kernels, where there is a compiler for them: sets ROAP_HAS_CUDA.
set(ROAP_CUDA AUTO CACHE STRING "Build CUDA kernels: AUTO (if nvcc is found), ON or OFF")
set_property(CACHE ROAP_CUDA PROPERTY STRINGS AUTO ON OFF)
# Machine code for these; other cards of compute capability 9.0 and later compile the PTX of 90 when the program starts.
set(ROAP_CUDA_ARCHITECTURES 80 90a CACHE STRING "Architectures to generate machine code for")

set(ROAP_HAS_CUDA OFF)
if(ROAP_CUDA)  # AUTO and ON
  find_program(ROAP_NVCC nvcc PATHS /usr/local/cuda/bin)
  if(ROAP_NVCC AND NOT CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER ${ROAP_NVCC})
  endif()
  set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
  set(CMAKE_CUDA_ARCHITECTURES OFF)  # older CMake does not know 90a: the options are ours
  if(ROAP_CUDA STREQUAL "AUTO")
    include(CheckLanguage)
    check_language(CUDA)
  endif()
  if(CMAKE_CUDA_COMPILER OR NOT ROAP_CUDA STREQUAL "AUTO")
    enable_language(CUDA)
    set(ROAP_HAS_CUDA ON)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # nor does it know C++20 for CUDA
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    if(CCACHE)
      set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
    endif()
  endif()
endif()
message(STATUS "CUDA kernels: ${ROAP_HAS_CUDA} (ROAP_CUDA=${ROAP_CUDA})")

# roap_add_cuda_library(TARGET SOURCE...): an object library of .cu files, compiled by nvcc for all architectures.
function(roap_add_cuda_library target)
  add_library(${target} OBJECT ${ARGN})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  set(options -Werror=all-warnings -lineinfo -Xcompiler=-Wall,-Wextra,-Wno-unused-parameter)
  foreach(architecture IN LISTS ROAP_CUDA_ARCHITECTURES)
    list(APPEND options -gencode=arch=compute_${architecture},code=sm_${architecture})
  endforeach()
  list(APPEND options -gencode=arch=compute_90,code=compute_90)
  target_compile_options(${target} PRIVATE ${options})
endfunction()
