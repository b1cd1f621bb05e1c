import Foundation
import Glibc
import TestSupport

/// What tests of listeners share.
enum Listening {
    /// A configuration with these listeners in front of a port of this machine.
    static func file(
        _ upstream: UInt16, _ listeners: [(name: String, address: String)],
        takeover folder: String? = nil
    ) -> String {
        let list = listeners.map { #"{"name": "\#($0.name)", "address": "\#($0.address)"}"# }.joined(separator: ", ")
        let takeover = folder.map { "\"takeover\": {\"path\": \"\($0)/takeover.sock\"}," } ?? ""
        return """
            {"listeners": [\(list)], "admin": {"address": "127.0.0.1:0"}, "accessLog": {"enabled": false}, \(takeover)
             "upstreams": {"core": {"endpoints": ["127.0.0.1:\(upstream)"]}},
             "routes": [{"name": "api", "split": {"core": 1}}]}
            """
    }

    /// Writes the file and waits until its listeners, and no others, are in force.
    static func change(
        _ balancer: BalancerProcess, _ upstream: UInt16, _ listeners: [(name: String, address: String)]
    ) throws {
        try BalancerProcess.write(Self.file(upstream, listeners), to: balancer.file)
        let wanted = Set(listeners.map { "\($0.name) \($0.address)" })
        let isInForce = try eventually {
            let present = try balancer.json("/api/v1/status")["listeners"] as? [[String: Any]] ?? []
            return Set(present.map { "\($0["name"] as? String ?? "") \($0["address"] as? String ?? "")" }) == wanted
        }
        guard isInForce else { throw TestFailure("\(wanted) not in force; \(balancer.program.errors.suffix(5))") }
    }

    /// Of the sockets that listen on a port, whatever the address, without those that take nobody any more.
    static func inodes(_ port: UInt16) throws -> Set<String> {
        var inodes: Set<String> = []
        let wanted = ":" + String(format: "%04X", port)
        for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
            for line in try kernelText(file).split(separator: "\n") {
                let words = line.split(separator: " ")
                guard words.count > 9, words[1].hasSuffix(wanted), words[3] == "0A" else { continue }
                inodes.insert(String(words[9]))
            }
        }
        return inodes
    }

    /// Sets the soft limit of open files of a running program.
    static func limitFiles(of program: Program, to count: Int) throws {
        let result = try Program.run(path: "/usr/bin/prlimit", ["--pid", "\(program.pid)", "--nofile=\(count):"])
        guard result.status == 0 else { throw TestFailure("prlimit: \(result.errors)") }
    }
}

extension Program {
    /// Seconds of processor time used so far, user and system.
    var cpuSeconds: Double {
        let text = (try? String(contentsOfFile: "/proc/\(self.pid)/stat", encoding: .utf8)) ?? ""
        let words = text.drop { $0 != ")" }.split(separator: " ")
        guard words.count > 13, let user = Double(words[12]), let system = Double(words[13]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}

/// Clients that come one after the other, each with one request over a connection of its own.
final class Arrivals: Sendable {
    private struct State {
        var answers = 0
        var refused = 0
        var failures: [String] = []
        var running = 0
        var isStopping = false
    }

    private let state = Locked(State())
    private let port: UInt16
    private let mayBeRefused: Bool

    /// `mayBeRefused`: a connection that is refused is counted and no failure.
    init(port: UInt16, mayBeRefused: Bool = false) {
        self.port = port
        self.mayBeRefused = mayBeRefused
    }

    deinit { self.state.change { $0.isStopping = true } }

    var answers: Int { self.state.value.answers }
    var refused: Int { self.state.value.refused }
    var failures: [String] { self.state.value.failures }

    func start(_ count: Int) {
        self.state.change { $0.running += count }
        for _ in 0..<count {
            startThread { [state, port, mayBeRefused] in
                while !state.value.isStopping { Self.arrive(port, mayBeRefused, state) }
                state.change { $0.running -= 1 }
            }
        }
    }

    private static func arrive(_ port: UInt16, _ mayBeRefused: Bool, _ state: Locked<State>) {
        let connection: RawConnection
        do {
            connection = try RawConnection(port: port)
        } catch {
            if mayBeRefused, "\(error)".hasSuffix("errno \(ECONNREFUSED)") {
                state.change { $0.refused += 1 }
                usleep(2_000)
            } else {
                state.change { $0.failures.append("\(error)") }
            }
            return
        }
        connection.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        let (text, end) = connection.readAll(seconds: 20)
        if text.hasPrefix("HTTP/1.1 200 "), end == .closed {
            state.change { $0.answers += 1 }
        } else {
            state.change { $0.failures.append("\(end) \(text.prefix(60))") }
        }
    }

    func awaitAnswers(_ count: Int) throws {
        let goal = self.answers + count
        guard eventually(seconds: 60, { self.answers >= goal }) else {
            throw TestFailure("only \(self.answers) of \(goal) answers; \(self.failures.prefix(5))")
        }
    }

    /// Waits until the last has ended.
    func stop() {
        self.state.change { $0.isStopping = true }
        _ = eventually(seconds: 60) { self.state.value.running == 0 }
    }
}

/// Makes a program's epoll refuse to watch anything more, as it does where memory or watches have run out, for as long as a
/// test wants. Preloaded: no setting of the system does that to one program alone.
struct FaultyEpoll {
    private let library: String
    private let mark: String

    init(in folder: String) throws {
        self.library = folder + "/faults.so"
        self.mark = folder + "/faults.on"
        let source = """
            #define _GNU_SOURCE
            #include <dlfcn.h>
            #include <errno.h>
            #include <stdlib.h>
            #include <sys/epoll.h>
            #include <unistd.h>
            int epoll_ctl(int set, int operation, int descriptor, struct epoll_event *event) {
                static int (*real)(int, int, int, struct epoll_event *);
                if (!real) real = dlsym(RTLD_NEXT, "epoll_ctl");
                if (operation == EPOLL_CTL_ADD && access(getenv("EPOLL_FAULTS"), F_OK) == 0) {
                    errno = ENOMEM;
                    return -1;
                }
                return real(set, operation, descriptor, event);
            }
            """
        try BalancerProcess.write(source, to: folder + "/faults.c")
        let built = try Program.run(
            path: "/usr/bin/env", ["cc", "-shared", "-fPIC", "-o", self.library, folder + "/faults.c", "-ldl"])
        guard built.status == 0 else { throw TestFailure("cc: \(built.errors)") }
    }

    /// For env(1).
    var environment: [String] { ["LD_PRELOAD=\(self.library)", "EPOLL_FAULTS=\(self.mark)"] }

    func begin() throws { try BalancerProcess.write("", to: self.mark) }
    func end() { unlink(self.mark) }
}
