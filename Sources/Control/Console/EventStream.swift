import Hummingbird
import NIOCore
import RoutesFile

/// The answer of `GET /api/v1/events`: server-sent events (HTML Living Standard 9.2), until one side ends it.
enum EventStream {
    static let contentType = "text/event-stream"

    /// Throws 503 where every place is taken.
    static func response(_ plane: ControlPlane, _ context: AdminRequestContext) async throws -> Response {
        let (feed, access, channel) = (plane.events, plane.access, context.channel)
        let revision = access.revision
        let standing = access.standing(of: context.name)
        guard let seat = feed.clients.admit(cut: { channel.close(promise: nil) }) else {
            var failure = AdminFailure(
                status: .serviceUnavailable,
                "no more than \(EventClients.limit) clients follow events at a time; GET /api/v1/status answers whoever asks"
            )
            failure.headers[.retryAfter] = "5"
            throw failure
        }
        let welcome = WelcomeBody(
            version: BalancerVersion.current, host: plane.host, startedAt: Timestamp.iso8601(plane.startedAt),
            tokens: standing.needsToken, name: context.name, role: standing.role == .operator ? "operator" : "viewer",
            plots: await feed.plotsBody)
        let first = EventFeed.message("welcome", welcome)
        let state = await feed.stateMessage()
        return Response(
            status: .ok, headers: [.contentType: Self.contentType, .cacheControl: "no-store"],
            body: ResponseBody { writer in
                // The place is taken until here is the end, whatever it is.
                defer { withExtendedLifetime(seat) {} }
                // How soon to come back after the stream has ended, in milliseconds.
                try await writer.write(ByteBuffer(string: "retry: 1000\n\n"))
                for message in [first, state].compactMap({ $0 }) { try await writer.write(message) }
                for await message in seat.messages {
                    // Whoever came with a token that is no more is asked anew.
                    guard access.revision == revision else { break }
                    try await writer.write(message)
                }
                try await writer.finish(nil)
            })
    }
}

extension AdminAPI {
    func addEvents(to router: Router<AdminRequestContext>) {
        let plane = self.plane
        router.get("/api/v1/events") { _, context in try await EventStream.response(plane, context) }
    }
}
