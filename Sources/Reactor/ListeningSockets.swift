import Glibc
import Traffic

/// Who else listens on this machine, by what the kernel lists.
package enum ListeningSockets {
    private struct Entry {
        var address: SocketAddress
        var inode: UInt64
    }

    /// A listening socket that would share connections with one on `address`, other than those named by their inodes; nil:
    /// none, or the system does not say.
    package static func foreign(on address: SocketAddress, besides own: Set<UInt64>) -> SocketAddress? {
        for (file, isV4) in [("/proc/self/net/tcp", true), ("/proc/self/net/tcp6", false)] {
            for entry in Self.read(file, isV4: isV4)
            where entry.address.collides(with: address) && !own.contains(entry.inode) {
                return entry.address
            }
        }
        return nil
    }

    /// The inode by which the kernel lists a socket; nil if the descriptor is closed.
    package static func inode(_ descriptor: Int32) -> UInt64? {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    /// The listening ones stand first: what comes after them, which may be a million lines, is not read.
    private static func read(_ file: String, isV4: Bool) -> [Entry] {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var entries: [Entry] = []
        var held: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return entries }
            held += chunk[..<count]
            var start = 0
            while let end = held[start...].firstIndex(of: UInt8(ascii: "\n")) {
                let words = held[start..<end].split(separator: UInt8(ascii: " "))
                start = end + 1
                // The first line is a heading.
                guard words.count > 9, words[0].last == UInt8(ascii: ":") else { continue }
                guard words[3].elementsEqual("0A".utf8) else { return entries }
                guard let address = Self.address(words[1], isV4: isV4),
                    let inode = UInt64(String(decoding: words[9], as: UTF8.self))
                else { continue }
                entries.append(Entry(address: address, inode: inode))
            }
            held.removeFirst(start)
        }
    }

    /// `0100007F:1F90`: 32-bit words in the machine's own order of bytes, then the port.
    private static func address(_ text: ArraySlice<UInt8>, isV4: Bool) -> SocketAddress? {
        let parts = text.split(separator: UInt8(ascii: ":"))
        guard parts.count == 2, parts[0].count == (isV4 ? 8 : 32),
            let port = UInt16(String(decoding: parts[1], as: UTF8.self), radix: 16)
        else { return nil }
        var words: [UInt64] = []
        for start in stride(from: parts[0].startIndex, to: parts[0].endIndex, by: 8) {
            guard let word = UInt32(String(decoding: parts[0][start..<start + 8], as: UTF8.self), radix: 16) else {
                return nil
            }
            words.append(UInt64(UInt32(bigEndian: word)))
        }
        let ip =
            isV4
            ? IPAddress(v4: UInt32(truncatingIfNeeded: words[0]))
            : IPAddress(high: words[0] << 32 | words[1], low: words[2] << 32 | words[3])
        return SocketAddress(ip: ip, port: port)
    }
}
