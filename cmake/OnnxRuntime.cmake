# onnxruntime::onnxruntime from the cache that ./dev setup fills.
set(_ort ${STAGGER_CACHE_DIR}/onnxruntime)
if(NOT EXISTS ${_ort}/include/onnxruntime_c_api.h OR NOT EXISTS ${_ort}/lib/libonnxruntime.so.1)
  message(FATAL_ERROR "ONNX Runtime is not in ${_ort}: run ./dev setup first")
endif()
add_library(onnxruntime::headers INTERFACE IMPORTED)
target_include_directories(onnxruntime::headers SYSTEM INTERFACE ${_ort}/include)
add_library(onnxruntime::onnxruntime SHARED IMPORTED)
set_target_properties(onnxruntime::onnxruntime PROPERTIES
  IMPORTED_LOCATION ${_ort}/lib/libonnxruntime.so.1
  IMPORTED_SONAME libonnxruntime.so.1)
target_link_libraries(onnxruntime::onnxruntime INTERFACE onnxruntime::headers)
