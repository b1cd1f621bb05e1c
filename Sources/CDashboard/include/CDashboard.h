// The dashboard's files: where each begins, and how many bytes it has.
#ifndef CDASHBOARD_H
#define CDASHBOARD_H

#include <stddef.h>

extern const unsigned char balancer_dashboard_page[], balancer_dashboard_page_end[];
extern const unsigned char balancer_dashboard_style[], balancer_dashboard_style_end[];
extern const unsigned char balancer_dashboard_script[], balancer_dashboard_script_end[];
extern const unsigned char balancer_dashboard_icon[], balancer_dashboard_icon_end[];

static inline const unsigned char *dashboard_page(size_t *count) {
    *count = (size_t)(balancer_dashboard_page_end - balancer_dashboard_page);
    return balancer_dashboard_page;
}

static inline const unsigned char *dashboard_style(size_t *count) {
    *count = (size_t)(balancer_dashboard_style_end - balancer_dashboard_style);
    return balancer_dashboard_style;
}

static inline const unsigned char *dashboard_script(size_t *count) {
    *count = (size_t)(balancer_dashboard_script_end - balancer_dashboard_script);
    return balancer_dashboard_script;
}

static inline const unsigned char *dashboard_icon(size_t *count) {
    *count = (size_t)(balancer_dashboard_icon_end - balancer_dashboard_icon);
    return balancer_dashboard_icon;
}

#endif
