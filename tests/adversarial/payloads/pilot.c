// The stand-in pilot: starts the command as its child in its own process group, writes the child's pid and exit code
// to the files `pid` and `code` of the folder, and stays. `pilot FOLDER COMMAND...`
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char* name, int value) {
  char temporary[16];
  snprintf(temporary, sizeof temporary, ".%s", name);
  FILE* file = fopen(temporary, "w");
  if (file == NULL || fprintf(file, "%d\n", value) < 0 || fclose(file) != 0 ||
      rename(temporary, name) != 0)
    _exit(98);
}

int main(int argc, char** argv) {
  if (argc < 3 || chdir(argv[1]) != 0) return 98;
  pid_t child = fork();
  if (child == 0) {
    execvp(argv[2], argv + 2);
    _exit(97);
  }
  tell("pid", child);
  int status = 0;
  while (waitpid(child, &status, 0) != child) continue;
  tell("code", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  alarm(600);
  for (;;) pause();
}
