# cmake -DSOURCE=folder -DOUTPUT=file.cc -P embed.cmake: the dashboard's files as C++ strings.
set(_files "index.html|/|text/html" "stagger.css|/stagger.css|text/css"
    "stagger.js|/stagger.js|text/javascript")
set(_rows "")
set(_text "// Made by embed.cmake from the files in src/web.\n#include \"web/pages.h\"\n\n")
string(APPEND _text "namespace stagger::web {\n\nnamespace {\n\n")
set(_index 0)
foreach(_file ${_files})
  string(REPLACE "|" ";" _parts "${_file}")
  list(GET _parts 0 _name)
  list(GET _parts 1 _path)
  list(GET _parts 2 _type)
  # Bytes, not a raw string: no delimiter that a file could contain, no limit on its length.
  file(READ ${SOURCE}/${_name} _hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," _bytes "${_hex}")
  string(REGEX REPLACE "((0x..,){24})" "\\1\n" _bytes "${_bytes}")
  string(APPEND _text "constexpr unsigned char kFile${_index}[] = {\n${_bytes}};\n\n")
  string(APPEND _rows "    {\"${_path}\", \"${_type}; charset=utf-8\",\n"
         "     {reinterpret_cast<const char*>(kFile${_index}), sizeof kFile${_index}}},\n")
  math(EXPR _index "${_index} + 1")
endforeach()
string(APPEND _text "const Page kPages[] = {\n${_rows}};\n\n}  // namespace\n\n")
string(APPEND _text "std::span<const Page> Pages() { return kPages; }\n\n}  // namespace stagger::web\n")
file(WRITE ${OUTPUT} "${_text}")
