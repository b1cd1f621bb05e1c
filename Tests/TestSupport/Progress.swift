import Glibc
import Synchronization

/// A count that threads share.
public final class Progress: Sendable {
    private let count = Atomic<Int>(0)
    public init() {}
    public var value: Int { self.count.load(ordering: .acquiring) }
    public func add(_ more: Int) { self.count.add(more, ordering: .acquiringAndReleasing) }
}

/// Lets this process have that many open files.
public func raiseOpenFiles(to count: Int) throws {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    if limit.rlim_cur >= count { return }
    limit.rlim_cur = min(rlim_t(count), limit.rlim_max)
    guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
        throw TestFailure("cannot have \(count) open files")
    }
}

/// A value that threads share.
public final class Locked<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>
    public init(_ value: Value) { self.mutex = Mutex(value) }
    public var value: Value { self.mutex.withLock { $0 } }
    public func change(_ body: (inout Value) -> Void) { self.mutex.withLock { body(&$0) } }
}
