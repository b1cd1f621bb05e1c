// The dashboard's files, as they are in Page, in the program. __has_include makes each of them one that this file depends on, so that
// a change of it is built.
#if __has_include("page.html") && __has_include("dashboard.css") && __has_include("dashboard.js") && __has_include("favicon.svg")
        .section .rodata,"a",%progbits

        .globl balancer_dashboard_page
        .hidden balancer_dashboard_page
        .globl balancer_dashboard_page_end
        .hidden balancer_dashboard_page_end
balancer_dashboard_page:
        .incbin "page.html"
balancer_dashboard_page_end:
        .byte 0

        .globl balancer_dashboard_style
        .hidden balancer_dashboard_style
        .globl balancer_dashboard_style_end
        .hidden balancer_dashboard_style_end
balancer_dashboard_style:
        .incbin "dashboard.css"
balancer_dashboard_style_end:
        .byte 0

        .globl balancer_dashboard_script
        .hidden balancer_dashboard_script
        .globl balancer_dashboard_script_end
        .hidden balancer_dashboard_script_end
balancer_dashboard_script:
        .incbin "dashboard.js"
balancer_dashboard_script_end:
        .byte 0

        .globl balancer_dashboard_icon
        .hidden balancer_dashboard_icon
        .globl balancer_dashboard_icon_end
        .hidden balancer_dashboard_icon_end
balancer_dashboard_icon:
        .incbin "favicon.svg"
balancer_dashboard_icon_end:
        .byte 0
#else
#error "the dashboard's files are not where they belong: Sources/CDashboard/Page"
#endif
        .section .note.GNU-stack,"",%progbits
