import Hummingbird
import Traffic

/// Refuses requests whose `Host` is a name, while the API listens on loopback: a page in the operator's browser that
/// rebinds its own name to 127.0.0.1 must not reach it. IP addresses and `localhost` cannot be rebound.
struct HostCheck<Context: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        guard Self.isTrusted(request.head.authority ?? "") else {
            throw AdminFailure(status: .forbidden, "the Host field must be an IP address or localhost")
        }
        return try await next(request, context)
    }

    static func isTrusted(_ authority: String) -> Bool {
        var host = authority[...]
        if host.hasPrefix("["), let end = host.firstIndex(of: "]") {
            return IPAddress(parsing: String(host[host.index(after: host.startIndex)..<end])) != nil
        }
        if let colon = host.lastIndex(of: ":") { host = host[..<colon] }
        return host.lowercased() == "localhost" || IPAddress(parsing: String(host)) != nil
    }
}
