import Glibc
import Synchronization

/// A count that threads share.
package final class Progress: Sendable {
    private let count = Atomic<Int>(0)
    package init() {}
    package var value: Int { self.count.load(ordering: .acquiring) }
    package func add(_ more: Int) { self.count.add(more, ordering: .acquiringAndReleasing) }
}

/// Lets this process, and those that it starts, have that many open files, or as many as it may. Answers how many.
@discardableResult
package func raiseOpenFiles(to count: Int) throws -> Int {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    if limit.rlim_cur >= count { return Int(clamping: limit.rlim_cur) }
    limit.rlim_cur = min(rlim_t(count), limit.rlim_max)
    guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
        throw TestFailure("cannot have \(count) open files")
    }
    return Int(clamping: limit.rlim_cur)
}

/// A value that threads share.
package final class Locked<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>
    package init(_ value: Value) { self.mutex = Mutex(value) }
    package var value: Value { self.mutex.withLock { $0 } }
    package func change(_ body: (inout Value) -> Void) { self.mutex.withLock { body(&$0) } }
}
