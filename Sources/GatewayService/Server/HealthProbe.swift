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

    /// Whether 200 is answered within `limit`, connecting included.
    package func isAlive(within limit: Duration) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { (try? await ask(within: limit)) ?? false }
            group.addTask {
                try? await Task.sleep(for: limit)
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
    }

    private func ask(within limit: Duration) async throws -> Bool {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connectTimeout(TimeAmount(limit))
            .connect(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        let name = host.contains(":") ? "[\(host)]" : host
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(
                ByteBuffer(string: "GET \(path) HTTP/1.1\r\nHost: \(name):\(port)\r\nConnection: close\r\n\r\n"))
            var answer = ByteBuffer()
            for try await var chunk in inbound {
                answer.writeBuffer(&chunk)
                let expected = "HTTP/1.1 200 "
                if let start = answer.getString(at: 0, length: expected.utf8.count) { return start == expected }
            }
            return false
        }
    }
}
