import Foundation
import Glibc

/// The port that a process listens on at this IPv4 address, as the kernel tells it: for programs that bind port 0 and
/// whose output nobody can read. Waits for it.
package func listeningPort(of process: pid_t, at host: String = "127.0.0.1", seconds: Double = 60) throws -> UInt16 {
    var port: UInt16?
    _ = eventually(seconds: seconds) {
        port = currentPort(of: process, at: host)
        return port != nil
    }
    guard let port else { throw TestFailure("process \(process) does not listen at \(host)") }
    return port
}

private func currentPort(of process: pid_t, at host: String) -> UInt16? {
    var address = in_addr()
    guard inet_pton(AF_INET, host, &address) == 1 else { return nil }
    // As /proc/net/tcp writes it: the address's word in the machine's order, LISTEN is state 0A, the tenth column the inode.
    let prefix = String(address.s_addr, radix: 16, uppercase: true)
    let wanted = String(repeating: "0", count: 8 - prefix.count) + prefix
    let folder = "/proc/\(process)/fd"
    let sockets = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).compactMap {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")
    }
    for line in ((try? kernelText("/proc/net/tcp")) ?? "").split(separator: "\n") {
        let columns = line.split(separator: " ")
        guard columns.count > 9, columns[3] == "0A", sockets.contains("socket:[\(columns[9])]") else { continue }
        let local = columns[1].split(separator: ":")
        if local.count == 2, local[0] == wanted { return UInt16(local[1], radix: 16) }
    }
    return nil
}
