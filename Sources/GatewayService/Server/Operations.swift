import Documents
import HTTPTypes
import NIOCore

/// The routes for who runs the process: liveness, readiness, metrics. They are no part of the legacy API.
struct Operations: Sendable {
    /// nil for a service without a database.
    let store: (any DocumentStore)?
    let metrics: GatewayMetrics

    func reply(_ path: Substring) async -> Reply? {
        switch path {
        case "/livez": .ok(Reply.text, ByteBuffer(string: "alive\n"), .operations)
        case "/readyz": await readiness()
        case "/metrics": .ok(Reply.text, ByteBuffer(string: metrics.text()), .operations)
        default: nil
        }
    }

    /// Ready when the database answers within the store's own deadline.
    private func readiness() async -> Reply {
        guard let store else { return .ok(Reply.text, ByteBuffer(string: "ready\n"), .operations) }
        do {
            try await store.check()
            return .ok(Reply.text, ByteBuffer(string: "ready\n"), .operations)
        } catch {
            return Reply(
                status: .serviceUnavailable, contentType: Reply.text,
                body: ByteBuffer(string: "not ready: database: \(error)\n"), route: .operations)
        }
    }
}
