import Documents
import FoundationEssentials

/// Makes answers out of many documents on threads of its own: Swift's own few threads are everybody's, timers' too.
enum Composer {
    /// What is shorter than this many bytes is done sooner than handed over.
    private static let shortest = 128 * 1024

    /// For as long as the process lives.
    private static let workers = BlockingWorkers(
        count: max(2, min(8, ProcessInfo.processInfo.activeProcessorCount)))

    /// How many answers are being made, and how many wait for a thread.
    static var load: (running: Int, waiting: Int) { workers.load }

    /// Runs `body`, which looks at `size` bytes of documents.
    ///
    /// - Throws: what `body` throws, and ``ResourceError/deadline`` when the request's deadline comes before its end.
    static func run<Value: Sendable>(
        over size: Int, _ body: @escaping @Sendable (inout Pace) throws -> Value
    ) async throws -> Value {
        let deadline = QueryDeadline.current
        var pace = Pace(deadline)
        if size < shortest { return try body(&pace) }
        let result: Result<Value, any Error>
        do {
            result = try await workers.run(until: deadline) {
                var pace = Pace(deadline)
                return .success(Result { try body(&pace) })
            }
        } catch StoreError.timedOut {
            throw ResourceError.deadline
        }
        return try result.get()
    }
}

/// Ends work that nobody waits for any more.
struct Pace {
    /// How many documents are worked on between two looks at the clock.
    private static let stride: UInt = 64

    private let deadline: ContinuousClock.Instant?
    private var count: UInt = 0

    /// - Parameter deadline: nil for no bound.
    init(_ deadline: ContinuousClock.Instant? = nil) {
        self.deadline = deadline
    }

    /// To be called between two longer pieces of work.
    func check() throws(ResourceError) {
        if let deadline, deadline <= .now { throw .deadline }
    }

    /// To be called once for each document.
    mutating func step() throws(ResourceError) {
        count &+= 1
        if count % Self.stride == 0, let deadline, deadline <= .now { throw .deadline }
    }
}
