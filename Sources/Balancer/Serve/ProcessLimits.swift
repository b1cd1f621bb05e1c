import Glibc

/// What the process asks of the system before it serves.
enum ProcessLimits {
    /// Every client and every upstream connection is a descriptor: the soft limit, often 1024, goes up to the hard one.
    static func raiseDescriptors() {
        var limit = rlimit()
        let which = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(which, &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(which, &limit)
    }
}
