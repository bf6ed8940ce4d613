# What an installation holds beside the Python package: the binary, its man page and its completions, the last three
# printed by the binary itself from its flag table. In a wheel, scripts and data have places of their own (SKBUILD_*).
if(SKBUILD)
  set(GPUCTL_BINARY_FOLDER ${SKBUILD_SCRIPTS_DIR})
  set(GPUCTL_SHARE_FOLDER ${SKBUILD_DATA_DIR}/share)
else()
  set(GPUCTL_BINARY_FOLDER ${CMAKE_INSTALL_BINDIR})
  set(GPUCTL_SHARE_FOLDER ${CMAKE_INSTALL_DATADIR})
endif()

# gpuctl_generated(FILE FOLDER argument...): FILE is what `gpuctl argument...` prints; installed below share/FOLDER.
function(gpuctl_generated file folder)
  set(output ${PROJECT_BINARY_DIR}/share/${folder}/${file})
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/share/${folder}
    COMMAND gpuctl ${ARGN} > ${output}
    DEPENDS gpuctl VERBATIM)
  set_property(GLOBAL APPEND PROPERTY GPUCTL_GENERATED_FILES ${output})
  install(FILES ${output} DESTINATION ${GPUCTL_SHARE_FOLDER}/${folder})
endfunction()

gpuctl_generated(gpuctl.1 man/man1 help --man)
gpuctl_generated(gpuctl bash-completion/completions help --completion bash)
gpuctl_generated(_gpuctl zsh/site-functions help --completion zsh)
get_property(generated GLOBAL PROPERTY GPUCTL_GENERATED_FILES)
add_custom_target(gpuctl_share ALL DEPENDS ${generated})

install(TARGETS gpuctl RUNTIME DESTINATION ${GPUCTL_BINARY_FOLDER})
if(TARGET gpuctl-sanity-probe)
  install(TARGETS gpuctl-sanity-probe RUNTIME DESTINATION ${GPUCTL_BINARY_FOLDER})
endif()

# How /run/gpuctl, the node's state directory, comes to be at each boot (docs/design/trust.md).
install(FILES ${PROJECT_SOURCE_DIR}/cmake/gpuctl.tmpfiles.conf DESTINATION ${GPUCTL_SHARE_FOLDER}/tmpfiles.d
  RENAME gpuctl.conf)
