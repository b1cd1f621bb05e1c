import Hummingbird

/// Answers 405 where a path is known and the method is not. Added behind all routes, it sees only what none of them took.
struct MethodCheck<Context: RequestContext>: RouterMiddleware {
    private struct Known: Sendable {
        var segments: [Substring]
        var methods: Set<String>
    }

    private let paths: [Known]

    init(_ routes: [Router<Context>.RouteDescription]) {
        var methods: [String: Set<String>] = [:]
        for route in routes { methods["\(route.path)", default: []].insert(route.method.rawValue) }
        self.paths = methods.map { path, methods in
            Known(
                segments: path.split(separator: "/"),
                methods: methods.contains("GET") ? methods.union(["HEAD"]) : methods)
        }
    }

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        let segments = request.uri.path.split(separator: "/")
        guard let known = self.paths.first(where: { Self.matches($0.segments, segments) }) else {
            return try await next(request, context)
        }
        var failure = AdminFailure(status: .methodNotAllowed, "\(request.method.rawValue) means nothing here")
        failure.headers[.allow] = known.methods.sorted().joined(separator: ", ")
        throw failure
    }

    /// `{…}` stands for any one segment.
    private static func matches(_ pattern: [Substring], _ path: [Substring]) -> Bool {
        pattern.count == path.count && zip(pattern, path).allSatisfy { $0 == $1 || $0.hasPrefix("{") }
    }
}
