// How the probe begins and what it asks of libc, so that it runs in images older than the compiler's.
//
// glibc 2.34 gave __libc_start_main and, with libdl's move into libc, dlopen, dlsym and dlerror new versions. The old ones are
// still there; they are bound by name here, and the start file that refers to the new one is left out (-nostartfiles). libc
// is told no constructors to run: there are none. Since 2.34 it finds them itself.
#include <features.h>

#if defined(GPUCTL_OWN_START) && defined(__x86_64__)
__asm__(".symver __libc_start_main,__libc_start_main@GLIBC_2.2.5");
__asm__(
    ".text\n"
    ".globl _start\n"
    ".type _start,@function\n"
    "_start:\n"
    "  .cfi_startproc\n"
    "  .cfi_undefined rip\n"
    "  xorl %ebp, %ebp\n"
    "  movq %rdx, %r9\n"   // the loader's own clean-up
    "  popq %rsi\n"        // argc
    "  movq %rsp, %rdx\n"  // argv
    "  andq $-16, %rsp\n"
    "  pushq %rax\n"
    "  pushq %rsp\n"
    "  xorl %r8d, %r8d\n"  // fini
    "  xorl %ecx, %ecx\n"  // init
    "  leaq main(%rip), %rdi\n"
    "  call *__libc_start_main@GOTPCREL(%rip)\n"
    "  hlt\n"
    "  .cfi_endproc\n"
    ".size _start, . - _start\n"
    ".section .note.GNU-stack,\"\",@progbits\n");
#elif defined(GPUCTL_OWN_START) && defined(__aarch64__)
__asm__(".symver __libc_start_main,__libc_start_main@GLIBC_2.17");
__asm__(
    ".text\n"
    ".globl _start\n"
    ".type _start,%function\n"
    "_start:\n"
    "  mov x29, #0\n"
    "  mov x30, #0\n"
    "  mov x5, x0\n"      // the loader's own clean-up
    "  ldr x1, [sp]\n"    // argc
    "  add x2, sp, #8\n"  // argv
    "  mov x6, sp\n"
    "  mov x3, #0\n"
    "  mov x4, #0\n"
    "  adrp x0, main\n"
    "  add x0, x0, :lo12:main\n"
    "  bl __libc_start_main\n"
    "  brk #0\n"
    ".size _start, . - _start\n"
    ".section .note.GNU-stack,\"\",%progbits\n");
#endif
