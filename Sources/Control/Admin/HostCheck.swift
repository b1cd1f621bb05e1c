import Hummingbird

/// Refuses requests that a web page may have made the operator's browser send: those under a foreign name, and changes
/// that a page from elsewhere asks for.
struct HostCheck: RouterMiddleware {
    typealias Context = AdminRequestContext

    /// What tools without names of their own read: probes and scrapes, which may come without `Host`.
    private static let observation: Set<String> = ["/healthz", "/readyz", "/metrics"]

    let names: AdminNames

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        let authority = request.head.authority ?? ""
        let changes = request.method != .get && request.method != .head
        let isTaken =
            switch self.names.standing(of: authority, local: context.local) {
            case .own: true
            case .address: !changes
            case .absent: !changes && Self.observation.contains(request.routedPath)
            case .foreign: false
            }
        guard isTaken else {
            throw AdminFailure(
                status: .forbidden,
                changes
                    ? "for changes the Host field must be localhost, the address that is listened on or a name of "
                        + "$.admin.hosts"
                    : "the Host field must be an IP address, localhost or a name of $.admin.hosts")
        }
        if changes, let origin = request.headers[.origin], !self.names.allows(origin: origin, authority: authority) {
            throw AdminFailure(status: .forbidden, "a page of another origin asks for this change")
        }
        return try await next(request, context)
    }
}
