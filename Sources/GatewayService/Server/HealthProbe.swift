import Glibc
import NIOCore
import NIOPosix

/// Asks a gateway over HTTP whether it lives.
package struct HealthProbe: Sendable {
    private let host: String
    private let port: Int
    private let path: String

    /// - Parameter path: what to ask for; a 200 means alive.
    package init(host: String, port: Int, path: String = "/livez") {
        self.host = host
        self.port = port
        self.path = path
    }

    /// Why it does not count as alive; nil when 200 is answered within `limit`, connecting included.
    package func failure(within limit: Duration) async -> String? {
        await withTaskGroup(of: String?.self) { group in
            group.addTask { await reason(within: limit) }
            group.addTask {
                try? await Task.sleep(for: limit)
                return "no answer from \(place) within \(limit)"
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }

    /// Whether 200 is answered within `limit`, connecting included.
    package func isAlive(within limit: Duration) async -> Bool {
        await failure(within: limit) == nil
    }

    private var place: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    private func reason(within limit: Duration) async -> String? {
        do {
            let status = try await ask(within: limit)
            return status == "200" ? nil : "\(place) answers \(status) to \(path)"
        } catch {
            return switch error {
            case let error as NIOConnectionError:
                error.connectionErrors.isEmpty
                    ? "there is no host \(host)"
                    : "\(place) does not accept connections: \(Self.reason(error))"
            case is CancellationError: "no answer from \(place) within \(limit)"
            default: "\(place): \(error)"
            }
        }
    }

    /// The system's own words, each once.
    private static func reason(_ error: NIOConnectionError) -> String {
        var reasons: [String] = []
        for attempt in error.connectionErrors {
            let code = (attempt.error as? IOError)?.errnoCode
            let reason = code.map { String(cString: strerror($0)) } ?? "\(attempt.error)"
            if !reasons.contains(reason) { reasons.append(reason) }
        }
        return reasons.joined(separator: ", ")
    }

    /// The status that is answered.
    private func ask(within limit: Duration) async throws -> String {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connectTimeout(TimeAmount(limit))
            .connect(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(
                ByteBuffer(string: "GET \(path) HTTP/1.1\r\nHost: \(place)\r\nConnection: close\r\n\r\n"))
            var answer = ByteBuffer()
            for try await var chunk in inbound {
                answer.writeBuffer(&chunk)
                let version = "HTTP/1.1 "
                guard let start = answer.getString(at: 0, length: version.utf8.count + 3) else { continue }
                return start.hasPrefix(version) ? String(start.suffix(3)) : "no HTTP"
            }
            return "nothing"
        }
    }
}
