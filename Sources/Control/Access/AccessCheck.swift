import Hummingbird

/// Lets through who has a token for what is asked, where tokens are needed.
struct AccessCheck: RouterMiddleware {
    typealias Context = AdminRequestContext

    /// What is asked without a token: whether the process lives and serves, and the dashboard's files, which tell nothing of it.
    private static let open = Set(["/healthz", "/readyz"] + DashboardPage.allCases.map(\.rawValue))

    let plane: ControlPlane

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        let isReading = request.method == .get || request.method == .head
        let purpose: AdminAccess.Purpose =
            if !isReading {
                .change
            } else if Self.open.contains(request.routedPath) {
                .probe
            } else if Self.isExamples(request.routedPath) {
                .examples
            } else {
                request.routedPath == "/metrics" ? .metrics : .read
            }
        let access = self.plane.access
        let now = self.plane.clock.monotonic()
        switch access.judge(
            Self.bearer(request.headers[.authorization]), asks: purpose, client: context.client, now: now)
        {
        case .allowed(let name):
            var context = context
            context.name = name
            return try await next(request, context)
        case .unknown:
            var failure = AdminFailure(
                status: .unauthorized, "a token is needed: Authorization: Bearer TOKEN (BALANCER_TOKEN for the command)"
            )
            failure.headers[.wwwAuthenticate] = "Bearer"
            return try await self.deny(failure, request, context, now)
        case .viewer(let name):
            return try await self.deny(
                AdminFailure(
                    status: .forbidden,
                    purpose == .examples
                        ? "the token \(name) is a viewer's: examples of answers are for operators"
                        : "the token \(name) is a viewer's: it changes nothing"), request,
                context, now)
        case .slow(let seconds):
            var failure = AdminFailure(
                status: .tooManyRequests, "too many wrong tokens from \(context.client): wait \(seconds) s")
            failure.headers[.retryAfter] = "\(seconds)"
            return try await self.deny(failure, request, context, now)
        }
    }

    /// `/api/v1/migrations/NAME/differences/CLASS` shows what servers have answered.
    private static func isExamples(_ path: String) -> Bool {
        let segments = path.split(separator: "/", omittingEmptySubsequences: true)
        return segments.count > 5 && segments[2] == "migrations" && segments[4] == "differences"
    }

    private func deny(
        _ failure: AdminFailure, _ request: Request, _ context: Context, _ now: UInt64
    ) async throws -> Response {
        if self.plane.access.countDenied(context.client, now: now) {
            await self.plane.publisher.noteDenied(
                "\(request.method.rawValue) \(request.uri.path): \(failure.status.code)", from: context.client)
        }
        throw failure
    }

    /// RFC 6750 2.1; the scheme's letter case does not count.
    private static func bearer(_ field: String?) -> String? {
        guard let field, let blank = field.firstIndex(of: " "), field[..<blank].lowercased() == "bearer" else {
            return nil
        }
        let token = field[blank...].drop { $0 == " " }
        return token.isEmpty ? nil : String(token)
    }
}
