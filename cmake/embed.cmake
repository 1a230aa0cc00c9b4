# roap_embed(OUT_VARIABLE PATTERN...): turns files into object-file data, so that the binary needs none of them at run time.
# Each file becomes a row of roap::io::embedded_files() (io/embedded.h), named by its path in the repository.
function(roap_embed out)
  file(GLOB files RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS ${ARGN})
  set(assembly ${CMAKE_BINARY_DIR}/embedded.cpp)
  set(depends "")
  set(asm_text "")
  set(rows "")
  set(externs "")
  set(index 0)
  foreach(file IN LISTS files)
    list(APPEND depends ${CMAKE_SOURCE_DIR}/${file})
    string(APPEND asm_text
      "asm(\".section .rodata\\n.balign 16\\nroap_embedded_${index}:\\n.incbin \\\"${CMAKE_SOURCE_DIR}/${file}\\\"\\nroap_embedded_${index}_end:\\n.byte 0\\n.previous\\n.globl roap_embedded_${index}\\n.globl roap_embedded_${index}_end\\n\");\n")
    string(APPEND externs "extern \"C\" const char roap_embedded_${index}[];\nextern \"C\" const char roap_embedded_${index}_end[];\n")
    string(APPEND rows
      "      {\"${file}\", std::string_view(roap_embedded_${index}, static_cast<std::size_t>(roap_embedded_${index}_end - roap_embedded_${index}))},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  file(CONFIGURE OUTPUT ${assembly} @ONLY CONTENT
"#include \"io/embedded.h\"
${asm_text}
${externs}
namespace roap::io {
const std::vector<EmbeddedFile>& embedded_files() {
  static const std::vector<EmbeddedFile> files = {
${rows}  };
  return files;
}
}  // namespace roap::io
")
  set_source_files_properties(${assembly} PROPERTIES OBJECT_DEPENDS "${depends}")
  set(${out} ${assembly} PARENT_SCOPE)
endfunction()
