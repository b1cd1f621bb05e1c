import Reactor
import RoutesFile
import Synchronization
import Traffic

/// Who may ask the admin API for what: tokens, and how often they were wrong.
package final class AdminAccess: Sendable {
    /// Wrong tokens that one address may send in a minute.
    static let failureLimit = 10
    /// Milliseconds.
    static let window: UInt64 = 60_000
    /// Addresses remembered; beyond, the one whose minute began first is forgotten.
    static let addressLimit = 1_024
    /// Entries of the journal in a minute: who has many addresses must not fill it.
    static let tellLimit = 30

    package enum Verdict: Sendable, Equatable {
        /// `name` is that of the token; nil: none is needed.
        case allowed(name: String?)
        /// No token, or none that is known.
        case unknown
        /// The token is for reading only.
        case viewer(name: String)
        /// Too many wrong tokens from there: seconds until another wrong one is answered otherwise.
        case slow(seconds: UInt64)
    }

    fileprivate struct Failures {
        var since: UInt64
        var wrong = 0
        /// It is in the journal already.
        var isTold = false
    }

    fileprivate struct State {
        var tokens: [AdminToken] = []
        var revision: UInt64 = 0
        var metrics: [UInt8]?
        var failures: [String: Failures] = [:]
        var denied: UInt64 = 0
        /// Of this minute, in the journal.
        var told = (since: UInt64(0), count: 0)
    }

    private let state = Mutex(State())

    package init() {}

    /// Takes effect with the next request.
    package func set(_ tokens: [AdminToken], metrics: [UInt8]?) {
        self.state.withLock {
            if $0.tokens != tokens { $0.revision &+= 1 }
            $0.tokens = tokens
            $0.metrics = metrics
        }
    }

    /// Another one: other tokens are in force.
    var revision: UInt64 { self.state.withLock { $0.revision } }

    /// Whether tokens are asked for, and the role of the one with that name.
    func standing(of name: String?) -> (needsToken: Bool, role: AdminRole) {
        self.state.withLock { state in
            let token = state.tokens.first { $0.name == name }
            return (!state.tokens.isEmpty, token?.role ?? (state.tokens.isEmpty ? .operator : .viewer))
        }
    }

    /// Calls that were denied.
    package var denied: UInt64 { self.state.withLock { $0.denied } }

    /// Whether the bearer of `token` may do what is asked. `now` in monotonic milliseconds.
    func judge(_ token: String?, asks purpose: Purpose, client: String, now: UInt64) -> Verdict {
        self.state.withLock { state in
            let needsToken =
                switch purpose {
                case .probe: false
                case .metrics: state.metrics != nil
                case .read, .examples, .change: !state.tokens.isEmpty
                }
            guard needsToken else { return .allowed(name: nil) }
            // A right token is let in whatever others send from the same address, which may be that of everybody behind a
            // proxy: at 256 bits there is nothing to guess.
            let failures = state.failures[client].flatMap { now < $0.since &+ Self.window ? $0 : nil }
            let wait = failures.flatMap { failures in
                failures.wrong < Self.failureLimit ? nil : (failures.since &+ Self.window - now + 999) / 1_000
            }
            guard let token else { return wait.map { .slow(seconds: $0) } ?? .unknown }
            let hash = SHA256.hash(token.utf8)
            var found: AdminToken?
            // All of them, each to its end: how long it takes tells nothing.
            for known in state.tokens where Self.areEqual(known.sha256, hash) { found = known }
            if purpose == .metrics, let metrics = state.metrics, Self.areEqual(metrics, hash) {
                return .allowed(name: nil)
            }
            guard let found else {
                if let wait { return .slow(seconds: wait) }
                state.noteWrong(from: client, now: now)
                return .unknown
            }
            guard (purpose != .change && purpose != .examples) || found.role == .operator else {
                return .viewer(name: found.name)
            }
            return .allowed(name: found.name)
        }
    }

    /// Counts a denied call. True: the journal is to be told, which it is once a minute and address.
    func countDenied(_ client: String, now: UInt64) -> Bool {
        self.state.withLock { state in
            state.denied &+= 1
            state.open(client, now: now)
            guard state.failures[client]?.isTold == false else { return false }
            state.failures[client]?.isTold = true
            if now >= state.told.since &+ Self.window { state.told = (now, 0) }
            state.told.count += 1
            return state.told.count <= Self.tellLimit
        }
    }

    /// What a request is for.
    enum Purpose: Sendable, Equatable {
        /// Whether the process lives and serves.
        case probe
        case metrics
        case read
        /// Of answers that differ.
        case examples
        case change
    }

    private static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in left.indices { difference |= left[index] ^ right[index] }
        return difference == 0
    }
}

extension AdminAccess.State {
    /// Begins a minute for an address, unless one runs.
    fileprivate mutating func open(_ client: String, now: UInt64) {
        if let failures = self.failures[client], now < failures.since &+ AdminAccess.window { return }
        if self.failures.count >= AdminAccess.addressLimit, self.failures[client] == nil,
            let oldest = self.failures.min(by: { $0.value.since < $1.value.since })?.key
        {
            self.failures[oldest] = nil
        }
        self.failures[client] = AdminAccess.Failures(since: now)
    }

    fileprivate mutating func noteWrong(from client: String, now: UInt64) {
        self.open(client, now: now)
        self.failures[client]?.wrong += 1
    }
}

extension AdminAccess {
    /// The tokens of the configuration and of the file that it names. Blocks.
    static func tokens(of admin: AdminSpec?) -> Result<[AdminToken], ConfigurationRejected> {
        guard let admin, let path = admin.tokensFile else { return .success(admin?.tokens ?? []) }
        func fail(_ words: String) -> Result<[AdminToken], ConfigurationRejected> {
            .failure(
                ConfigurationRejected(problems: [ConfigurationProblem(path: "$.admin.tokensFile", message: words)]))
        }
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try WholeFile.read(path)
        } catch {
            return fail("cannot read \(path): \(error.reason)")
        }
        do throws(ConfigurationRejected) {
            let further = try RoutesFile.tokens(bytes)
            if let twice = further.first(where: { one in admin.tokens.contains { $0.name == one.name } }) {
                return fail("the token \(twice.name) is in $.admin.tokens too")
            }
            if admin.tokens.isEmpty, further.isEmpty { return fail("\(path) has no token") }
            return .success(admin.tokens + further)
        } catch {
            let first = error.problems.first.map(ControlProblem.init)
            return fail("\(path): \(first?.description ?? "it is not understood")")
        }
    }
}

extension AdminSpec {
    /// What takes effect at the next start.
    var fixed: AdminSpec {
        var fixed = self
        (fixed.tokens, fixed.tokensFile, fixed.metricsToken) = ([], nil, nil)
        // Other files are followed; whether there are any is not.
        if fixed.tls != nil { fixed.tls = AdminTLS(chain: NamedFile(path: ""), key: NamedFile(path: "")) }
        return fixed
    }
}
