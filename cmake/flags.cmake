# Compiler flags shared by all targets.
add_library(roap_flags INTERFACE)
target_include_directories(roap_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(roap_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wno-unused-parameter -fno-math-errno)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)  # false alarms of GCC 12 inside the standard library and nlohmann-json
  target_compile_options(roap_flags INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-stringop-overread)
endif()
if(ROAP_SANITIZE)
  target_compile_options(roap_flags INTERFACE -fsanitize=${ROAP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(roap_flags INTERFACE -fsanitize=${ROAP_SANITIZE})
endif()
