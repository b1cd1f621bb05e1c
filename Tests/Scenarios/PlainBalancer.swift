import Foundation
import Glibc
import TestSupport

/// A balancer whose standard descriptors a test chooses, so that nothing of what it prints need be read: the kernel tells
/// its ports.
final class PlainBalancer: Sendable {
    let program: Program
    /// Where clients connect, at 127.0.0.1.
    let port: UInt16
    /// Of the admin API, at `adminHost`.
    let adminPort: UInt16
    let folder: String

    /// An address of its own tells the two ports apart.
    private static let adminHost = "127.0.0.2"

    /// `redirections` are a shell's, such as `>&-`; `prelude` are its commands before, such as `ulimit -n 256;`. `routes` of
    /// the configuration may be left to their default.
    init(
        before upstream: ScriptedUpstream, _ redirections: String, accessLog: String = #"{"enabled": true}"#,
        routes: String? = nil, limits: String = "{}", prelude: String = ""
    ) throws {
        self.folder = BalancerProcess.makeFolder()
        let routes = routes ?? #"{"name": "api", "split": {"core": 1}}"#
        try BalancerProcess.write(
            """
            {"listeners": [{"name": "public", "address": "127.0.0.1:0"}],
             "admin": {"address": "\(Self.adminHost):0"}, "accessLog": \(accessLog), "limits": \(limits),
             "upstreams": {"core": {"endpoints": ["127.0.0.1:\(upstream.port)"]}}, "routes": [\(routes)]}
            """, to: self.folder + "/routes.json")
        self.program = try Program(
            path: "/bin/sh",
            [
                "-c", "\(prelude) exec \"$0\" serve --workers 1 --config \"$1\" \(redirections)",
                Program.path("balancer"), self.folder + "/routes.json",
            ])
        self.port = try listeningPort(of: self.program.pid)
        self.adminPort = try listeningPort(of: self.program.pid, at: Self.adminHost)
    }

    deinit {
        self.program.signal(SIGKILL)
        BalancerProcess.removeFolder(self.folder)
    }

    func awaitReady() throws {
        let ready = eventually { (try? self.admin("/readyz").status) == 200 }
        guard ready else { throw TestFailure("not ready; \(self.program.errors.suffix(5))") }
    }

    func admin(_ target: String) throws -> Message {
        try get(target, host: Self.adminHost, port: self.adminPort)
    }

    func connectToAdmin() throws -> RawConnection {
        try RawConnection(host: Self.adminHost, port: self.adminPort)
    }

    func request(_ target: String = "/") throws -> Message { try get(target, port: self.port) }

    /// Lines of the access log that the balancer counts as dropped.
    func dropped() throws -> Int { try self.counter("balancer_access_log_dropped_total") }

    /// A metric without labels.
    func counter(_ name: String) throws -> Int {
        let name = name + " "
        let line = try self.admin("/metrics").text.split(separator: "\n").first { $0.hasPrefix(name) }
        guard let line, let count = Int(line.dropFirst(name.count)) else { throw TestFailure("no \(name)") }
        return count
    }

    /// Lines of the operational log that contain `text`.
    func errors(_ text: String) -> Int { self.program.errors.filter { $0.contains(text) }.count }

    /// Processor time used so far, user and system, in seconds.
    func processorSeconds() throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(self.program.pid)/stat", encoding: .utf8)
        // Behind the name, which may have spaces: state is the first, utime the 12th, stime the 13th.
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 13, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw TestFailure("no processor time: \(text)")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Graceful end; the exit status.
    func stop() -> Int32? {
        self.program.signal(SIGTERM)
        return self.program.awaitExit()
    }
}

/// One request over a connection of its own.
func get(_ target: String, host: String = "127.0.0.1", port: UInt16) throws -> Message {
    let connection = try RawConnection(host: host, port: port)
    connection.send("GET \(target) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
    var reader = MessageReader(connection)
    return try reader.message()
}

/// What a process has open under a number, such as `/dev/null`; nil: nothing.
func openFile(_ number: Int, of program: Program) -> String? {
    var target = [CChar](repeating: 0, count: 4_096)
    let length = readlink("/proc/\(program.pid)/fd/\(number)", &target, target.count)
    return length < 0 ? nil : String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
