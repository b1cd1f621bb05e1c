import Glibc
import Synchronization

/// Descriptors held for nothing, so that the admin API can still be asked when traffic has used up all others: one is given
/// up for each connection that could not be accepted otherwise.
final class DescriptorReserve: Sendable {
    private static let largest = 16

    private let wanted: Int
    private let held = Mutex<[Int32]>([])

    /// A thirty-second of the process's limit, at most 16.
    init() {
        var limit = rlimit()
        let known = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
        self.wanted = known ? min(Self.largest, Int(clamping: limit.rlim_cur) / 32) : 0
        self.refill()
    }

    deinit { self.held.withLock { for descriptor in $0 { close(descriptor) } } }

    /// Gives one up. False: there is none left.
    func spend() -> Bool {
        guard let descriptor = self.held.withLock({ $0.popLast() }) else { return false }
        close(descriptor)
        return true
    }

    /// Takes back what was given up, as far as descriptors are free.
    func refill() {
        self.held.withLock { held in
            while held.count < self.wanted {
                let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
                guard descriptor >= 0 else { return }
                held.append(descriptor)
            }
        }
    }
}
