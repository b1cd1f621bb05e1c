/// What `--version`, `/api/v1/status` and `balancer_build_info` say.
package enum BalancerVersion {
    package static let current = "0.1.0"
}
