import Foundation
import Glibc

/// A real etcd: one member, or several that are one cluster.
package final class EtcdProcess: Sendable {
    /// As `scripts/install-etcd.sh` puts it, or `PATH` has it, which that script is content with.
    package static let path: String = {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        for folder in [Program.root + "/.tools/etcd"] + folders where access(folder + "/etcd", X_OK) == 0 {
            return folder + "/etcd"
        }
        return ""
    }()
    package static var isThere: Bool { !Self.path.isEmpty }

    package let programs: [Program]
    package let ports: [UInt16]
    private let reserved: [ReservedPort]
    private let folder: String

    /// `address` of each member, for members in network namespaces of their own; `inside` is what a command begins with there.
    package init(
        members: Int = 1, addresses: [String]? = nil, inside: [[String]]? = nil, arguments: [String] = []
    ) throws {
        self.folder = BalancerProcess.makeFolder()
        let reserved = try (0..<members * 2).map { _ in try ReservedPort() }
        self.reserved = reserved
        self.ports = (0..<members).map { reserved[$0].number }
        let hosts = addresses ?? Array(repeating: "127.0.0.1", count: members)
        let peers = (0..<members).map { "http://\(hosts[$0]):\(reserved[members + $0].number)" }
        let all = (0..<members).map { "m\($0)=\(peers[$0])" }.joined(separator: ",")
        var programs: [Program] = []
        for member in 0..<members {
            let client = "http://\(hosts[member]):\(reserved[member].number)"
            let words =
                (inside?[member] ?? []) + [
                    Self.path, "--name", "m\(member)", "--data-dir", "\(self.folder)/m\(member)",
                    "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls",
                    peers[member], "--initial-advertise-peer-urls", peers[member], "--initial-cluster", all,
                    "--heartbeat-interval", "100", "--election-timeout", "1000", "--log-level", "error",
                ] + arguments
            programs.append(try Program(path: words[0], Array(words.dropFirst())))
        }
        self.programs = programs
        for member in 0..<members where inside == nil {
            guard eventually({ (try? Self.health(port: self.ports[member])) == true }) else {
                throw TestFailure("etcd does not start: \(programs[member].errors.suffix(5))")
            }
        }
    }

    deinit {
        for program in self.programs { program.signal(SIGKILL) }
        BalancerProcess.removeFolder(self.folder)
    }

    /// As the file of a balancer has them.
    package var endpoints: String {
        "[" + self.ports.map { "\"http://127.0.0.1:\($0)\"" }.joined(separator: ", ") + "]"
    }

    private static func health(port: UInt16) throws -> Bool {
        let connection = try RawConnection(port: port)
        connection.send("GET /health HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n")
        return connection.readAll(seconds: 5).text.contains("true")
    }

    /// A call of the JSON gateway.
    package func call(_ path: String, _ body: String, member: Int = 0, token: String? = nil) throws -> String {
        let connection = try RawConnection(port: self.ports[member])
        connection.send(
            "POST /v3/\(path) HTTP/1.1\r\nHost: e\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
                + (token.map { "Authorization: \($0)\r\n" } ?? "") + "Connection: close\r\n\r\n\(body)")
        var reader = MessageReader(connection)
        return try reader.message().text
    }

    private static func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    package func value(_ key: String) throws -> String? {
        let answer = try self.call("kv/range", "{\"key\": \"\(Self.base64(key))\"}")
        let object = try JSONSerialization.jsonObject(with: Data(answer.utf8)) as? [String: Any]
        let pair = (object?["kvs"] as? [[String: Any]])?.first
        return (pair?["value"] as? String).flatMap { Data(base64Encoded: $0) }.map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    package func put(_ key: String, _ value: String) throws {
        _ = try self.call("kv/put", "{\"key\": \"\(Self.base64(key))\", \"value\": \"\(Self.base64(value))\"}")
    }

    /// Everything under a prefix.
    package func deleteAll(_ prefix: String) throws {
        _ = try self.call(
            "kv/deleterange", "{\"key\": \"\(Self.base64(prefix))\", \"range_end\": \"\(Self.base64(prefix + "~"))\"}")
    }
}
