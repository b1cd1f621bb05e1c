import FoundationEssentials
import NIOCore

/// As many event loops as there are processors for this process.
package enum EventLoops {
    /// To be called before anything is done on an event loop, and once. What the environment asks for stays.
    package static func choose() {
        guard ProcessInfo.processInfo.environment["NIO_SINGLETON_GROUP_LOOP_COUNT"] == nil else { return }
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        NIOSingletons.groupLoopCountSuggestion = min(System.coreCount, allowed(status) ?? .max)
    }

    /// The processors that a process may run on, by what the kernel says of it. The library's own count knows of a
    /// container's share, but not of a process's own confinement (taskset, a unit's CPUAffinity); loops that share a
    /// processor only take turns on it.
    static func allowed(_ status: String) -> Int? {
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed:") }) else {
            return nil
        }
        // A mask in hexadecimal, in groups.
        let count = line.drop { $0 != ":" }.compactMap(\.hexDigitValue).reduce(0) { $0 + $1.nonzeroBitCount }
        return count > 0 ? count : nil
    }
}
