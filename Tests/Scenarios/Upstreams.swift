import TestSupport

/// Upstream behaviours that several scenarios share.
extension ScriptedUpstream {
    /// Answers every request with its body, or with its target if it has none.
    static func echoing() throws -> ScriptedUpstream {
        try .answering { request, _ in
            let body = request.body.isEmpty ? String(request.start.split(separator: " ")[1]) : request.text
            let head = "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
            return request.start.hasPrefix("HEAD ") ? head : head + body
        }
    }

    /// Reads one request a connection, then does what `act` says, then hangs up.
    static func once(_ act: @escaping @Sendable (RawConnection) -> Void) throws -> ScriptedUpstream {
        try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.message(seconds: 60))
            act(connection)
        }
    }

    /// Bodies of this size for a GET.
    static func sized(_ count: Int) throws -> ScriptedUpstream {
        let chunk = [UInt8](repeating: 0x61, count: 65_536)
        return try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            while true {
                upstream.record(try reader.message(seconds: 60))
                guard connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n") else { return }
                var left = count
                while left > 0 {
                    guard connection.send(left >= chunk.count ? chunk : Array(chunk[..<left])) else { return }
                    left -= min(left, chunk.count)
                }
            }
        }
    }
}

extension BalancerProcess {
    /// In front of one upstream "core" with one endpoint.
    convenience init(
        before upstream: ScriptedUpstream, keys: String = "", routes: String? = nil, top: String = "",
        accessLog: Bool = false, workers: Int = 1
    ) throws {
        try self.init(
            Routes.configuration(
                upstreams: [("core", [upstream.port])], routes: routes, upstreamKeys: keys, top: top,
                accessLog: accessLog), workers: workers)
    }
}

extension BalancerProcess {
    /// Requests that the balancer counts as not answered yet, over all endpoints.
    func outstanding() throws -> Int {
        let upstreams = try self.json("/api/v1/upstreams")["upstreams"] as? [[String: Any]] ?? []
        return upstreams.flatMap { $0["endpoints"] as? [[String: Any]] ?? [] }
            .reduce(0) { $0 + ($1["outstanding"] as? Int ?? 1_000_000) }
    }
}

extension String {
    /// How often `mark` occurs.
    func components(of mark: String) -> Int { self.split(separator: mark, omittingEmptySubsequences: false).count - 1 }

    /// What follows the first `mark`.
    func components(after mark: String) -> Substring? {
        let parts = self.split(separator: mark, maxSplits: 1, omittingEmptySubsequences: false)
        return parts.count == 2 ? parts[1] : nil
    }
}
