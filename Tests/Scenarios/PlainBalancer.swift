import Glibc
import TestSupport

/// A balancer whose standard descriptors a test chooses, so that nothing of what it prints need be read: its ports are
/// fixed beforehand.
final class PlainBalancer: Sendable {
    let program: Program
    let port: UInt16
    let adminPort: UInt16
    let folder: String

    /// `redirections` are a shell's, such as `>&-`. `routes` of the configuration may be left to their default.
    init(
        before upstream: ScriptedUpstream, _ redirections: String, accessLog: String = #"{"enabled": true}"#,
        routes: String? = nil, limits: String = "{}"
    ) throws {
        let ports = try freePorts(2)
        self.port = ports[0]
        self.adminPort = ports[1]
        self.folder = BalancerProcess.makeFolder()
        let routes = routes ?? #"{"name": "api", "split": {"core": 1}}"#
        try BalancerProcess.write(
            """
            {"listeners": [{"name": "public", "address": "127.0.0.1:\(self.port)"}],
             "admin": {"address": "127.0.0.1:\(self.adminPort)"}, "accessLog": \(accessLog), "limits": \(limits),
             "upstreams": {"core": {"endpoints": ["127.0.0.1:\(upstream.port)"]}}, "routes": [\(routes)]}
            """, to: self.folder + "/routes.json")
        self.program = try Program(
            path: "/bin/sh",
            [
                "-c", "exec \"$0\" serve --workers 1 --config \"$1\" \(redirections)", Program.path("balancer"),
                self.folder + "/routes.json",
            ])
    }

    deinit {
        self.program.signal(SIGKILL)
        BalancerProcess.removeFolder(self.folder)
    }

    func awaitReady() throws {
        let ready = eventually(seconds: 20) { (try? self.admin("/readyz").status) == 200 }
        guard ready else { throw TestFailure("not ready; \(self.program.errors.suffix(5))") }
    }

    func admin(_ target: String) throws -> Message { try get(target, port: self.adminPort) }
    func request(_ target: String = "/") throws -> Message { try get(target, port: self.port) }

    /// Lines of the access log that the balancer counts as dropped.
    func dropped() throws -> Int {
        let name = "balancer_access_log_dropped_total "
        let line = try self.admin("/metrics").text.split(separator: "\n").first { $0.hasPrefix(name) }
        guard let line, let count = Int(line.dropFirst(name.count)) else { throw TestFailure("no \(name)") }
        return count
    }

    /// Lines of the operational log that contain `text`.
    func errors(_ text: String) -> Int { self.program.errors.filter { $0.contains(text) }.count }

    /// Graceful end; the exit status.
    func stop() -> Int32? {
        self.program.signal(SIGTERM)
        return self.program.awaitExit(seconds: 30)
    }
}

/// One request over a connection of its own.
func get(_ target: String, port: UInt16) throws -> Message {
    let connection = try RawConnection(port: port)
    connection.send("GET \(target) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    var reader = MessageReader(connection)
    return try reader.message()
}

/// Ports that nobody listened on a moment ago, all different.
func freePorts(_ count: Int) throws -> [UInt16] {
    var descriptors: [Int32] = []
    defer { for descriptor in descriptors { close(descriptor) } }
    return try (0..<count).map { _ in
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        descriptors.append(descriptor)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard bound else { throw TestFailure("no free port: errno \(errno)") }
        return UInt16(bigEndian: address.sin_port)
    }
}

/// What a process has open under a number, such as `/dev/null`; nil: nothing.
func openFile(_ number: Int, of program: Program) -> String? {
    var target = [CChar](repeating: 0, count: 4_096)
    let length = readlink("/proc/\(program.pid)/fd/\(number)", &target, target.count)
    return length < 0 ? nil : String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
