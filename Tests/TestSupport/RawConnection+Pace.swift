import Glibc

/// Clients that read less than they are given.
extension RawConnection {
    /// Makes the kernel take little on our behalf. Best before anything has come.
    package func limitReceiveBuffer(to bytes: Int32) {
        var size = bytes
        setsockopt(self.descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
    }

    /// Whether the peer neither ends nor resets the connection for that long; reads nothing.
    package func staysOpen(seconds: Double) -> Bool {
        // POLLRDHUP, which the Glibc module lacks.
        var state = pollfd(fd: self.descriptor, events: 0x2000, revents: 0)
        return poll(&state, 1, Int32(seconds * 1_000)) == 0
    }
}
