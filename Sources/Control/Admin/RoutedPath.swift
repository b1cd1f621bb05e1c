import Hummingbird

extension Request {
    /// The path as the router reads it, which passes over empty segments: `/metrics` also for `//metrics/`. What is decided by
    /// path before the router decides must read it the same way.
    var routedPath: String {
        "/" + self.uri.path.split(separator: "/").joined(separator: "/")
    }
}
