extension IPAddress {
    /// 127.0.0.0/8 or ::1.
    package var isLoopback: Bool {
        if self.isV4 { return self.v4 >> 24 == 127 }
        return self.high == 0 && self.low == 1
    }

    /// 0.0.0.0 or ::, which stand for every address of the machine.
    package var isWildcard: Bool { self.isV4 ? self.v4 == 0 : self.high == 0 && self.low == 0 }

    /// Whether who listens here is reached there. `::` takes IPv4 too.
    fileprivate func covers(_ other: IPAddress) -> Bool {
        self == other || self.isWildcard && (!self.isV4 || other.isV4)
    }

    /// What connecting to it reaches: connecting to a wildcard reaches the machine itself.
    fileprivate var connected: IPAddress {
        guard self.isWildcard else { return self }
        return self.isV4 ? IPAddress(v4: 0x7F00_0001) : IPAddress(high: 0, low: 1)
    }
}

extension SocketAddress {
    /// Whether both cannot listen at once. Port 0 asks for any free port, which is another one each time.
    package func collides(with other: SocketAddress) -> Bool {
        self.port != 0 && self.port == other.port && (self.ip.covers(other.ip) || other.ip.covers(self.ip))
    }

    /// Whether a connection to this endpoint would come in at the listener. Which of the machine's other addresses a
    /// wildcard stands for is not known here.
    package func reaches(_ listener: SocketAddress) -> Bool {
        guard self.port == listener.port else { return false }
        let target = self.ip.connected
        return listener.ip == target || target.isLoopback && listener.ip.covers(target)
    }
}
