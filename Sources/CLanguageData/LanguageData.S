// Foundation's ICU data, cut to what the gateway needs, in place of the whole: scripts/language_data.py makes it before a release
// build, and where it has not, the whole is linked. The linker takes a member out of Foundation's archive for names alone that
// nothing has yet. Hidden, so that a Foundation that is a shared library keeps its own; weak, so that where the linker brings the
// whole all the same it has its way, and nothing is lost but the room.
#if defined(RELEASE_BUILD) && __has_include("language-data.h")
#include "language-data.h"
        .section .rodata,"a",%progbits
        .weak LANGUAGE_DATA_SYMBOL
        .hidden LANGUAGE_DATA_SYMBOL
        .type LANGUAGE_DATA_SYMBOL, %object
        .balign 16
LANGUAGE_DATA_SYMBOL:
        .incbin "language-data.dat"
        .size LANGUAGE_DATA_SYMBOL, . - LANGUAGE_DATA_SYMBOL
#endif
        .section .note.GNU-stack,"",%progbits
