/* dlsym(handle, name): ask the filter; if it has nothing to say, jump (not call) to the real one,
   so that the dynamic linker sees the app's return address and RTLD_NEXT means what it meant. */
#if defined(__x86_64__)
        .text
        .globl  dlsym
        .type   dlsym, @function
dlsym:
        .cfi_startproc
        endbr64
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    stagger_dlsym_filter
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        testq   %rax, %rax
        jne     1f
        jmpq    *stagger_real_dlsym(%rip)
1:      ret
        .cfi_endproc
        .size   dlsym, . - dlsym
#endif
        .section .note.GNU-stack, "", @progbits
