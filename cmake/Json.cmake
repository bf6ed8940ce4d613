# nlohmann-json: the system's package, else the headers of PyPI's `nlohmann-json` (what build isolation has).
find_package(nlohmann_json 3.9 QUIET)
if(NOT nlohmann_json_FOUND)
  # no find_package(Python3) here: what it finds without headers would be what pybind11 builds with
  find_program(Python3_EXECUTABLE python3)
  if(Python3_EXECUTABLE)
    execute_process(
      COMMAND ${Python3_EXECUTABLE} -c
        "import nlohmann_json, os; print(os.path.join(os.path.dirname(nlohmann_json.__file__), 'include'))"
      OUTPUT_VARIABLE GPUCTL_JSON_HINT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  find_path(GPUCTL_JSON_INCLUDE nlohmann/json.hpp HINTS ${GPUCTL_JSON_HINT})
  if(NOT GPUCTL_JSON_INCLUDE)
    message(FATAL_ERROR "nlohmann/json.hpp not found: `apt-get install nlohmann-json3-dev` or `pip install nlohmann-json`")
  endif()
  add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED)
  set_target_properties(nlohmann_json::nlohmann_json PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${GPUCTL_JSON_INCLUDE}")
  gpuctl_link_headers(nlohmann_json::nlohmann_json json)
endif()
