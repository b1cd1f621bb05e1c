import Foundation
import Glibc

/// A running balancer with its configuration file in a folder of its own.
package final class BalancerProcess: Sendable {
    package let program: Program
    package let folder: String
    package let port: UInt16
    package let adminPort: UInt16
    private let ownsFolder: Bool

    package var file: String { self.folder + "/routes.json" }
    package var admin: String { "127.0.0.1:\(self.adminPort)" }

    /// Serves `configuration`, JSON text that binds port 0; or what `folder`, which stays the caller's, has as
    /// `routes.json`. `environment`: what it has besides the tests' own, NAME=VALUE.
    package init(
        _ configuration: String, workers: Int = 1, folder: String? = nil, arguments: [String] = [],
        environment: [String] = []
    ) throws {
        self.folder = folder ?? Self.makeFolder()
        self.ownsFolder = folder == nil
        if folder == nil { try Self.write(configuration, to: self.folder + "/routes.json") }
        let words = ["serve", "--config", self.folder + "/routes.json", "--workers", "\(workers)"] + arguments
        self.program =
            try environment.isEmpty
            ? Program("balancer", words)
            : Program(path: "/usr/bin/env", environment + [Program.path("balancer")] + words)
        self.adminPort = try self.program.await { Self.port(of: "admin ", in: $0) }
        _ = try self.program.await { $0 == "ready" ? true : nil }
        self.port = try self.program.await { Self.port(of: "listening public ", in: $0) }
    }

    deinit {
        self.program.signal(SIGKILL)
        if self.ownsFolder { Self.removeFolder(self.folder) }
    }

    package static func makeFolder() -> String {
        var template = Array("/tmp/balancer-test-XXXXXX".utf8CString)
        mkdtemp(&template)
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    package static func removeFolder(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

    package static func write(_ text: String, to path: String) throws {
        // Whole or not at all, as an editor or a ConfigMap does it.
        try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    }

    private static func port(of prefix: String, in line: String) -> UInt16? {
        guard line.hasPrefix(prefix), let colon = line.lastIndex(of: ":") else { return nil }
        return UInt16(line[line.index(after: colon)...])
    }

    package func connect() throws -> RawConnection { try RawConnection(port: self.port) }

    /// Sends and answers with everything until the end of the connection, or until nothing more comes for `seconds`.
    package func exchange(_ text: String, seconds: Double = 30) throws -> (text: String, end: RawConnection.End) {
        let connection = try self.connect()
        connection.send(text)
        return connection.readAll(seconds: seconds)
    }

    /// One request over a connection of its own.
    package func request(
        _ target: String = "/", method: String = "GET", fields: String = "", body: String? = nil, seconds: Double = 30
    ) throws -> Message {
        let connection = try self.connect()
        let length = body.map { "Content-Length: \($0.utf8.count)\r\n" } ?? ""
        connection.send(
            "\(method) \(target) HTTP/1.1\r\nHost: test\r\n\(fields)\(length)Connection: close\r\n\r\n\(body ?? "")")
        var reader = MessageReader(connection)
        return try reader.message(toHEAD: method == "HEAD", seconds: seconds)
    }

    /// One request to the admin API.
    package func admin(
        _ target: String, method: String = "GET", body: String? = nil, fields: String = ""
    ) throws -> Message {
        let connection = try RawConnection(port: self.adminPort)
        let content = body.map { "Content-Type: application/json\r\nContent-Length: \($0.utf8.count)\r\n" } ?? ""
        connection.send(
            "\(method) \(target) HTTP/1.1\r\nHost: 127.0.0.1:\(self.adminPort)\r\n\(content)\(fields)Connection: close\r\n\r\n\(body ?? "")"
        )
        var reader = MessageReader(connection)
        return try reader.message()
    }

    package func json(_ target: String) throws -> [String: Any] {
        let message = try self.admin(target)
        guard message.status == 200,
            let object = try JSONSerialization.jsonObject(with: Data(message.body)) as? [String: Any]
        else { throw TestFailure("\(target): \(message.start) \(message.text)") }
        return object
    }

    /// A command of the balancer's own against this process.
    package func command(_ words: String...) throws -> (status: Int32, output: String, errors: String) {
        try Program.run("balancer", words + ["--admin", self.admin])
    }

    /// Graceful end; the exit status.
    package func stop(seconds: Double = 60) -> Int32? {
        self.program.signal(SIGTERM)
        return self.program.awaitExit(seconds: seconds)
    }
}

/// Configuration text for tests: upstreams of ports, and routes.
package enum Routes {
    package static func configuration(
        upstreams: [(name: String, ports: [UInt16])], routes: String? = nil, upstreamKeys: String = "",
        top: String = "",
        accessLog: Bool = false
    ) -> String {
        let groups = upstreams.map { upstream in
            let endpoints = upstream.ports.map { "\"127.0.0.1:\($0)\"" }.joined(separator: ",")
            return
                "\"\(upstream.name)\": {\"endpoints\": [\(endpoints)]\(upstreamKeys.isEmpty ? "" : ", " + upstreamKeys)}"
        }.joined(separator: ",\n")
        let split = upstreams.map { "\"\($0.name)\": 1" }.joined(separator: ", ")
        return """
            {"listeners": [{"name": "public", "address": "127.0.0.1:0"}], "admin": {"address": "127.0.0.1:0"},
             "accessLog": \(accessLog ? "{\"enabled\": true}" : "{\"enabled\": false}"),\(top.isEmpty ? "" : "\n \(top),")
             "upstreams": {\(groups)},
             "routes": [\(routes ?? "{\"name\": \"api\", \"match\": {\"path\": \"/\"}, \"split\": {\(split)}}")]}
            """
    }
}
