# Headers of Python packages are in another folder in each checkout's environment and in each isolated build of pip. Reached
# through a link in the build folder they have the same place everywhere, as seen from there: a compiler cache and
# clang-tidy's verdicts (tools/dev/tidy.py) then know a compile line from another checkout again.

# gpuctl_link_headers(TARGET NAME): the include folder of an imported target through build/headers/NAME.
function(gpuctl_link_headers target name)
  get_target_property(folder ${target} INTERFACE_INCLUDE_DIRECTORIES)
  set(link ${PROJECT_BINARY_DIR}/headers/${name})
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/headers)
  file(CREATE_LINK ${folder} ${link} SYMBOLIC)
  set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${link})
endfunction()
