// The files of the gateway's documentation page, as they are in Assets, in the program. __has_include makes each of them one that this
// file depends on, so that a change of it is built.
#if __has_include("swagger-ui-bundle.js") && __has_include("swagger-ui.css") && __has_include("favicon-32x32.png")
        .section .rodata,"a",%progbits

        .globl gateway_swagger_script
        .hidden gateway_swagger_script
        .globl gateway_swagger_script_end
        .hidden gateway_swagger_script_end
gateway_swagger_script:
        .incbin "swagger-ui-bundle.js"
gateway_swagger_script_end:
        .byte 0

        .globl gateway_swagger_style
        .hidden gateway_swagger_style
        .globl gateway_swagger_style_end
        .hidden gateway_swagger_style_end
gateway_swagger_style:
        .incbin "swagger-ui.css"
gateway_swagger_style_end:
        .byte 0

        .globl gateway_swagger_icon
        .hidden gateway_swagger_icon
        .globl gateway_swagger_icon_end
        .hidden gateway_swagger_icon_end
gateway_swagger_icon:
        .incbin "favicon-32x32.png"
gateway_swagger_icon_end:
        .byte 0
#else
#error "the page's files are not where they belong: Sources/CSwaggerUI/Assets"
#endif
        .section .note.GNU-stack,"",%progbits
