import Glibc
import Synchronization

/// Ports for tests that must name one before anybody listens, all different, at every address of this machine.
///
/// They lie below those that the kernel gives to whoever binds port 0 or connects, so that nobody takes one in between by
/// chance; other processes of these tests begin elsewhere.
package func freePorts(_ count: Int) throws -> [UInt16] {
    var found: [UInt16] = []
    var tries = 0
    while found.count < count {
        tries += 1
        guard tries < portRange else { throw TestFailure("no free port") }
        let place = nextPort.add(1, ordering: .relaxed).oldValue
        let port = UInt16(10_000 + (Int(getpid()) * 97 + place) % portRange)
        if isFree(port) { found.append(port) }
    }
    return found
}

private let portRange = 20_000
private let nextPort = Atomic<Int>(0)

private func isFree(_ port: UInt16) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}
