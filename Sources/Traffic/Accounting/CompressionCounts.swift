import Synchronization

/// What became of a route's answers that compression was asked for. All workers count here, once an answer.
package final class CompressionCounts: Sendable {
    /// Why an answer went as it came.
    package enum Skip: Int, Sendable, CaseIterable {
        /// The client takes none of the codings.
        case notAccepted
        /// Its status, its type, or how small it is.
        case status, type, size
        /// It is in some form already.
        case encoded
        /// Somebody has asked that it stays as it is.
        case noTransform
        /// The request has credentials.
        case credentials
        /// The worker has no time for it, or no memory.
        case saturated, contexts

        package var word: String {
            switch self {
            case .notAccepted: "not-accepted"
            case .status: "status"
            case .type: "type"
            case .size: "size"
            case .encoded: "encoded"
            case .noTransform: "no-transform"
            case .credentials: "credentials"
            case .saturated: "saturated"
            case .contexts: "contexts"
            }
        }
    }

    private let gzip = Atomic<UInt64>(0)
    private let brotli = Atomic<UInt64>(0)
    private let zstd = Atomic<UInt64>(0)
    /// Bytes of bodies before and behind.
    private let before = Atomic<UInt64>(0)
    private let behind = Atomic<UInt64>(0)
    private let notAccepted = Atomic<UInt64>(0)
    private let status = Atomic<UInt64>(0)
    private let type = Atomic<UInt64>(0)
    private let size = Atomic<UInt64>(0)
    private let encoded = Atomic<UInt64>(0)
    private let noTransform = Atomic<UInt64>(0)
    private let credentials = Atomic<UInt64>(0)
    private let saturated = Atomic<UInt64>(0)
    private let contexts = Atomic<UInt64>(0)

    package init() {}

    package func count(_ coding: ContentCoding) {
        switch coding {
        case .gzip: self.gzip.add(1, ordering: .relaxed)
        case .brotli: self.brotli.add(1, ordering: .relaxed)
        case .zstd: self.zstd.add(1, ordering: .relaxed)
        }
    }

    /// A body has ended, or was cut.
    package func add(taken: UInt64, given: UInt64) {
        self.before.add(taken, ordering: .relaxed)
        self.behind.add(given, ordering: .relaxed)
    }

    package var taken: UInt64 { self.before.load(ordering: .relaxed) }
    package var given: UInt64 { self.behind.load(ordering: .relaxed) }

    package func skip(_ reason: Skip) {
        switch reason {
        case .notAccepted: self.notAccepted.add(1, ordering: .relaxed)
        case .status: self.status.add(1, ordering: .relaxed)
        case .type: self.type.add(1, ordering: .relaxed)
        case .size: self.size.add(1, ordering: .relaxed)
        case .encoded: self.encoded.add(1, ordering: .relaxed)
        case .noTransform: self.noTransform.add(1, ordering: .relaxed)
        case .credentials: self.credentials.add(1, ordering: .relaxed)
        case .saturated: self.saturated.add(1, ordering: .relaxed)
        case .contexts: self.contexts.add(1, ordering: .relaxed)
        }
    }

    /// By the name that a client has for the coding.
    package var byCoding: [(coding: String, count: UInt64)] {
        [
            ("gzip", self.gzip.load(ordering: .relaxed)), ("br", self.brotli.load(ordering: .relaxed)),
            ("zstd", self.zstd.load(ordering: .relaxed)),
        ]
    }

    package var bySkip: [(reason: String, count: UInt64)] {
        Skip.allCases.map { reason in
            let count =
                switch reason {
                case .notAccepted: self.notAccepted.load(ordering: .relaxed)
                case .status: self.status.load(ordering: .relaxed)
                case .type: self.type.load(ordering: .relaxed)
                case .size: self.size.load(ordering: .relaxed)
                case .encoded: self.encoded.load(ordering: .relaxed)
                case .noTransform: self.noTransform.load(ordering: .relaxed)
                case .credentials: self.credentials.load(ordering: .relaxed)
                case .saturated: self.saturated.load(ordering: .relaxed)
                case .contexts: self.contexts.load(ordering: .relaxed)
                }
            return (reason.word, count)
        }
    }
}
