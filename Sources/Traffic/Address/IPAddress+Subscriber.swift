extension IPAddress {
    /// What one subscriber has, and so what limits for each client count by: an IPv4 address, or of IPv6 the /64 (RFC 6177 2),
    /// in which a client changes its address as it likes.
    package var subscriber: IPAddress { self.isV4 ? self : IPAddress(high: self.high, low: 0) }
}
