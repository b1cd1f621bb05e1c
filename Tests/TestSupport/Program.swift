import Foundation
import Glibc
import Synchronization

/// One of the project's programs, really running. Ends with its owner, and with the test process whatever happens.
package final class Program: Sendable {
    package let pid: pid_t
    private let state = Shared()

    private struct State {
        var pid: pid_t = 0
        var output: [String] = []
        var errors: [String] = []
        var following = 0
        var status: Int32?
    }

    /// Apart from the program's owner, so that threads which follow it do not keep it alive.
    private final class Shared: Sendable {
        let value = Mutex(State())
        let started = DispatchSemaphore(value: 0)
    }

    /// Where the built programs are: beside the running tests' package, or where the environment says.
    package static func path(_ name: String) -> String {
        if let path = ProcessInfo.processInfo.environment["\(name.uppercased())_BINARY"] { return path }
        return Self.root + "/.build/debug/" + name
    }

    package static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    package convenience init(_ name: String, _ arguments: [String]) throws {
        try self.init(path: Self.path(name), arguments)
    }

    package init(path: String, _ arguments: [String]) throws {
        var out: [Int32] = [0, 0]
        var err: [Int32] = [0, 0]
        guard pipe(&out) == 0, pipe(&err) == 0 else { throw TestFailure("pipe: errno \(errno)") }
        for descriptor in out + err { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        let writers = [out[1], err[1]]
        // The kernel ends the program when the thread that started it ends, hence with the tests, even if they are killed.
        let words = ["/usr/bin/setpriv", "--pdeathsig", "KILL", path] + arguments
        let state = self.state
        startThread {
            let pid = Self.spawn(words, output: writers[0], errors: writers[1])
            for descriptor in writers { close(descriptor) }
            state.value.withLock { $0.pid = pid }
            state.started.signal()
            guard pid > 0 else { return }
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            // Exit status, or 128 + signal as shells say it.
            let code = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
            state.value.withLock { $0.status = code }
        }
        Self.follow(out[0], state) { $0.output.append($1) }
        Self.follow(err[0], state) { $0.errors.append($1) }
        state.started.wait()
        self.pid = state.value.withLock { $0.pid }
        guard self.pid > 0 else { throw TestFailure("cannot start \(path): errno \(-self.pid)") }
    }

    deinit { self.signal(SIGKILL) }

    /// glibc 2.34 and later; its module for Swift leaves the declaration out.
    private static let addCloseFrom = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map {
        unsafeBitCast($0, to: (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32).self)
    }

    /// The new process, or minus the error's number.
    private static func spawn(_ words: [String], output: Int32, errors: Int32) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        // What the tests themselves hold open is not the program's: its descriptors are what its limits count.
        guard let closeFrom = Self.addCloseFrom, closeFrom(&actions, 3) == 0 else { return -ENOSYS }
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for word in argv { free(word) } }
        var pid = pid_t()
        let result = posix_spawn(&pid, words[0], &actions, nil, &argv, environ)
        return result == 0 ? pid : -result
    }

    private static func follow(
        _ descriptor: Int32, _ state: Shared, _ add: @escaping @Sendable (inout State, String) -> Void
    ) {
        state.value.withLock { $0.following += 1 }
        startThread {
            var held: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = read(descriptor, &chunk, chunk.count)
                if count <= 0 { break }
                held += chunk[..<count]
                var start = 0
                while let end = held[start...].firstIndex(of: 10) {
                    let line = String(decoding: held[start..<end], as: UTF8.self)
                    start = end + 1
                    state.value.withLock { add(&$0, line) }
                }
                held.removeFirst(start)
            }
            let rest = String(decoding: held, as: UTF8.self)
            close(descriptor)
            state.value.withLock { value in
                if !rest.isEmpty { add(&value, rest) }
                value.following -= 1
            }
        }
    }

    package var output: [String] { self.state.value.withLock { $0.output } }
    package var errors: [String] { self.state.value.withLock { $0.errors } }
    package var exitStatus: Int32? { self.state.value.withLock { $0.status } }

    package func signal(_ number: Int32) {
        if self.exitStatus == nil { kill(self.pid, number) }
    }

    /// Stops the program in its tracks, until SIGCONT: what comes meanwhile, it finds all at once. Returns when it stands.
    package func pause() throws {
        self.signal(SIGSTOP)
        let stands = eventually {
            let stat = (try? String(contentsOfFile: "/proc/\(self.pid)/stat", encoding: .utf8)) ?? ""
            return stat.split(separator: ")").last?.hasPrefix(" T") ?? false
        }
        guard stands else { throw TestFailure("does not stop") }
    }

    /// The first line of output for which `match` gives something.
    package func await<Result>(seconds: Double = 60, line match: (String) -> Result?) throws -> Result {
        let deadline = Deadline(seconds: seconds)
        while true {
            for line in self.output { if let result = match(line) { return result } }
            if self.exitStatus != nil || deadline.hasPassed {
                throw TestFailure("no such line; output \(self.output.suffix(5)), errors \(self.errors.suffix(10))")
            }
            usleep(5_000)
        }
    }

    /// Waits for the end, and for its last output; nil if the end does not come.
    package func awaitExit(seconds: Double = 60) -> Int32? {
        _ = eventually(seconds: seconds) { self.state.value.withLock { $0.status != nil && $0.following == 0 } }
        return self.exitStatus
    }

    /// Descriptors open now.
    package var openFiles: Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(self.pid)/fd"))?.count ?? 0
    }

    /// Seconds of processor time that its threads have taken until now. Says nothing of those that have ended.
    package var processorSeconds: Double {
        let folder = "/proc/\(self.pid)/task"
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return tasks.reduce(0) { sum, task in
            let text = (try? String(contentsOfFile: "\(folder)/\(task)/schedstat", encoding: .utf8)) ?? ""
            return sum + (Double(text.split(separator: " ").first ?? "") ?? 0) / 1_000_000_000
        }
    }

    /// Kilobytes resident now.
    package var residentKilobytes: Int {
        let status = (try? String(contentsOfFile: "/proc/\(self.pid)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
        return Int(line.split(separator: " ").dropFirst().first ?? "") ?? 0
    }

    /// Runs to its end and answers what it printed.
    package static func run(_ name: String, _ arguments: [String], seconds: Double = 60) throws -> (
        status: Int32, output: String, errors: String
    ) {
        try Self.run(path: Self.path(name), arguments, seconds: seconds)
    }

    package static func run(path: String, _ arguments: [String], seconds: Double = 60) throws -> (
        status: Int32, output: String, errors: String
    ) {
        let program = try Program(path: path, arguments)
        guard let status = program.awaitExit(seconds: seconds) else {
            throw TestFailure("\(path) \(arguments) does not end")
        }
        return (status, program.output.joined(separator: "\n"), program.errors.joined(separator: "\n"))
    }
}
