import Glibc
import Synchronization

/// A TCP connection that a test drives byte by byte. Every wait has a deadline.
package final class RawConnection: Sendable {
    package let descriptor: Int32
    private let resets = Atomic(false)

    package enum End: Sendable, Equatable {
        case data([UInt8])
        case closed
        case reset
        case timeout
    }

    package init(adopting descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Connects to a port of the loopback address.
    package convenience init(port: UInt16) throws {
        try self.init(host: "127.0.0.1", port: port)
    }

    deinit { close(self.descriptor) }

    static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    @discardableResult
    package func send(_ text: String) -> Bool { self.send(Array(text.utf8)) }

    @discardableResult
    package func send(_ bytes: [UInt8]) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes {
                Glibc.send(self.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            offset += count
        }
        return true
    }

    /// Sends a piece at a time, each in a segment of its own.
    package func send(_ text: String, pieces size: Int) {
        let bytes = Array(text.utf8)
        var offset = 0
        while offset < bytes.count {
            let end = min(bytes.count, offset + size)
            guard self.send(Array(bytes[offset..<end])) else { return }
            offset = end
            // Lets the other side see the piece by itself; correctness does not hang on it.
            usleep(300)
        }
    }

    package func receive(atMost count: Int = 65_536, by deadline: Deadline) -> End {
        // Also against a peer that never stops sending.
        if deadline.hasPassed { return .timeout }
        var ready = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&ready, 1, deadline.remainingMilliseconds) > 0 else { return .timeout }
        var received = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            received = recv(self.descriptor, buffer.baseAddress, count, 0)
            initialized = max(0, received)
        }
        if received > 0 { return .data(bytes) }
        return received == 0 ? .closed : .reset
    }

    /// Everything until the peer closes, resets, or the deadline passes.
    package func readAll(seconds: Double = 30) -> (text: String, end: End) {
        let deadline = Deadline(seconds: seconds)
        var bytes: [UInt8] = []
        while true {
            switch self.receive(by: deadline) {
            case .data(let more): bytes += more
            case let end: return (String(decoding: bytes, as: UTF8.self), end)
            }
        }
    }

    /// How many bytes came until the peer closed, reset, sent `atMost` or the deadline passed; they are not kept.
    package func count(atMost limit: Int, seconds: Double) -> Int {
        let deadline = Deadline(seconds: seconds)
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        var total = 0
        while total < limit {
            var ready = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
            guard !deadline.hasPassed, poll(&ready, 1, deadline.remainingMilliseconds) > 0 else { break }
            let received = recv(self.descriptor, &chunk, chunk.count, 0)
            guard received > 0 else { break }
            total += received
        }
        return total
    }

    /// Everything until the text contains `mark`; nil if that does not come.
    package func read(until mark: String, seconds: Double = 30) -> String? {
        let deadline = Deadline(seconds: seconds)
        var text = ""
        var bytes: [UInt8] = []
        while !text.contains(mark) {
            guard case .data(let more) = self.receive(by: deadline) else { return nil }
            bytes += more
            text = String(decoding: bytes, as: UTF8.self)
        }
        return text
    }

    package func endOutput() { shutdown(self.descriptor, Int32(SHUT_WR)) }

    /// The end of this connection, by `hangUp` or by giving it up, is a reset.
    package func resetOnClose() {
        self.resets.store(true, ordering: .releasing)
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    /// Ends both directions without giving the descriptor up.
    package func hangUp() {
        guard self.resets.load(ordering: .acquiring) else {
            shutdown(self.descriptor, Int32(SHUT_RDWR))
            return
        }
        // Connecting to nowhere resets at once; a shutdown would send a clean end before the close can reset.
        var nowhere = sockaddr()
        nowhere.sa_family = sa_family_t(AF_UNSPEC)
        connect(self.descriptor, &nowhere, socklen_t(MemoryLayout<sockaddr>.size))
    }
}
